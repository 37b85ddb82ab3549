// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the crash test: a linear target whose flushes take turns.
 *
 *	cdp-turns <dev> <offset (sectors)>
 *
 * dm-log-writes hands the writes that have completed to the first flush that begins, and logs
 * them when that one ends.  If a second flush begins meanwhile and ends before it, the log shows
 * it, and what was written relying on it, without the writes that it made stable.
 */
#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

struct turns {
	struct dm_dev *dev;
	sector_t start;
	spinlock_t lock;		/* what follows */
	bool busy;			/* a flush is under way */
	struct bio_list waiting;
	struct work_struct next;
};

static void next_work(struct work_struct *work)
{
	struct turns *t = container_of(work, struct turns, next);
	struct bio *bio;

	spin_lock_irq(&t->lock);
	bio = bio_list_pop(&t->waiting);
	t->busy = bio;
	spin_unlock_irq(&t->lock);
	if (bio)
		submit_bio_noacct(bio);
}

static int turns_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct turns *t;
	u64 start;
	int r;

	if (argc != 2 || kstrtou64(argv[1], 10, &start)) {
		ti->error = "needs <dev> <offset (sectors)>";
		return -EINVAL;
	}
	t = kzalloc(sizeof(*t), GFP_KERNEL);
	if (!t)
		return -ENOMEM;
	t->start = start;
	spin_lock_init(&t->lock);
	bio_list_init(&t->waiting);
	INIT_WORK(&t->next, next_work);
	r = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &t->dev);
	if (r) {
		ti->error = "the device cannot be opened";
		kfree(t);
		return r;
	}
	ti->num_flush_bios = 1;
	ti->num_discard_bios = 1;
	ti->private = t;
	return 0;
}

static void turns_dtr(struct dm_target *ti)
{
	struct turns *t = ti->private;

	flush_work(&t->next);
	dm_put_device(ti, t->dev);
	kfree(t);
}

static int turns_map(struct dm_target *ti, struct bio *bio)
{
	struct turns *t = ti->private;
	unsigned long flags;
	bool wait;

	bio_set_dev(bio, t->dev->bdev);
	bio->bi_iter.bi_sector = t->start + dm_target_offset(ti, bio->bi_iter.bi_sector);
	if (!(bio->bi_opf & REQ_PREFLUSH))
		return DM_MAPIO_REMAPPED;

	spin_lock_irqsave(&t->lock, flags);
	wait = t->busy;
	t->busy = true;
	if (wait)
		bio_list_add(&t->waiting, bio);
	spin_unlock_irqrestore(&t->lock, flags);
	return wait ? DM_MAPIO_SUBMITTED : DM_MAPIO_REMAPPED;
}

static int turns_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	struct turns *t = ti->private;

	if (bio->bi_opf & REQ_PREFLUSH)
		queue_work(system_wq, &t->next);
	return DM_ENDIO_DONE;
}

static int turns_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct turns *t = ti->private;

	return fn(ti, t->dev, t->start, ti->len, data);
}

static struct target_type turns_target = {
	.name = "cdp-turns",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = turns_ctr,
	.dtr = turns_dtr,
	.map = turns_map,
	.end_io = turns_end_io,
	.iterate_devices = turns_iterate_devices,
};

static int __init turns_init(void)
{
	return dm_register_target(&turns_target);
}

static void __exit turns_exit(void)
{
	dm_unregister_target(&turns_target);
}

module_init(turns_init);
module_exit(turns_exit);

MODULE_DESCRIPTION(DM_NAME " target whose flushes take turns, for tests");
MODULE_LICENSE("GPL");
