// SPDX-License-Identifier: GPL-2.0-only
/*
 * For the crash test: a linear target without a volatile cache.  Each write carries FUA, so
 * dm-log-writes below logs it when it completes, in its place among all that is stable.
 *
 *	cdp-durable <dev> <offset (sectors)>
 */
#include <linux/bio.h>
#include <linux/device-mapper.h>
#include <linux/module.h>
#include <linux/slab.h>

struct durable {
	struct dm_dev *dev;
	sector_t start;
};

static int durable_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct durable *d;
	u64 start;
	int r;

	if (argc != 2 || kstrtou64(argv[1], 10, &start)) {
		ti->error = "needs <dev> <offset (sectors)>";
		return -EINVAL;
	}
	d = kzalloc(sizeof(*d), GFP_KERNEL);
	if (!d)
		return -ENOMEM;
	d->start = start;
	r = dm_get_device(ti, argv[0], dm_table_get_mode(ti->table), &d->dev);
	if (r) {
		ti->error = "the device cannot be opened";
		kfree(d);
		return r;
	}
	ti->private = d;
	return 0;
}

static void durable_dtr(struct dm_target *ti)
{
	struct durable *d = ti->private;

	dm_put_device(ti, d->dev);
	kfree(d);
}

static int durable_map(struct dm_target *ti, struct bio *bio)
{
	struct durable *d = ti->private;

	bio_set_dev(bio, d->dev->bdev);
	bio->bi_iter.bi_sector = d->start + dm_target_offset(ti, bio->bi_iter.bi_sector);
	if (bio_op(bio) == REQ_OP_WRITE)
		bio->bi_opf |= REQ_FUA;
	return DM_MAPIO_REMAPPED;
}

static int durable_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct durable *d = ti->private;

	return fn(ti, d->dev, d->start, ti->len, data);
}

static struct target_type durable_target = {
	.name = "cdp-durable",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = durable_ctr,
	.dtr = durable_dtr,
	.map = durable_map,
	.iterate_devices = durable_iterate_devices,
};

static int __init durable_init(void)
{
	return dm_register_target(&durable_target);
}

static void __exit durable_exit(void)
{
	dm_unregister_target(&durable_target);
}

module_init(durable_init);
module_exit(durable_exit);

MODULE_DESCRIPTION(DM_NAME " target whose writes are durable, for tests");
MODULE_LICENSE("GPL");
