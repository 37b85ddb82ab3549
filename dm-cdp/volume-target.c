// SPDX-License-Identifier: GPL-2.0-only
/*
 * The targets that carry I/O: a live volume, and a view of a volume at an instant.
 */
#include "pool.h"
#include "compat/compat.h"

#include <linux/sched/mm.h>
#include <linux/slab.h>

static struct cdp_io *bio_io(struct bio *bio)
{
	return dm_per_bio_data(bio, sizeof(struct cdp_io));
}

/* Tolerates a half-built one. */
static void target_destroy(struct cdp_target *t)
{
	if (t->volume) {
		mutex_lock(&t->pool->catalog.mutex);
		t->volume->nr_targets--;
		mutex_unlock(&t->pool->catalog.mutex);
	}
	if (t->pool) {
		if (!list_empty(&t->list))
			cdp_pool_remove_target(t->pool, t);
		cdp_pool_put(t->pool);
	}
	if (t->data_dev)
		dm_put_device(t->ti, t->data_dev);
	if (t->metadata_dev)
		dm_put_device(t->ti, t->metadata_dev);
	if (t->pool_dev)
		dm_put_device(t->ti, t->pool_dev);
	kvfree(t->lineage);
	kfree(t);
}

static int find_pool(struct cdp_target *t, const char *path)
{
	struct dm_target *ti = t->ti;
	struct mapped_device *md;
	int r;

	r = dm_get_device(ti, path, dm_table_get_mode(ti->table), &t->pool_dev);
	if (r) {
		ti->error = "the pool device cannot be opened";
		return r;
	}
	md = dm_get_md(t->pool_dev->bdev->bd_dev);
	t->pool = md ? cdp_pool_find(md) : NULL;
	if (md)
		dm_put(md);
	if (!t->pool) {
		ti->error = "the device is not a cdp pool";
		return -EINVAL;
	}
	return 0;
}

/* The pool's devices must not go before the pool, which this target keeps. */
static int hold_device(struct cdp_target *t, dev_t number, struct dm_dev **dev)
{
	char path[32];
	int r;

	snprintf(path, sizeof(path), "%u:%u", MAJOR(number), MINOR(number));
	r = dm_get_device(t->ti, path, dm_table_get_mode(t->ti->table), dev);
	if (r)
		t->ti->error = "the pool's devices cannot be opened";
	return r;
}

static int find_volume(struct cdp_target *t, const char *name)
{
	struct cdp_volume *volume;

	mutex_lock(&t->pool->catalog.mutex);
	volume = cdp_catalog_volume(&t->pool->catalog, name);
	if (volume)
		volume->nr_targets++;
	mutex_unlock(&t->pool->catalog.mutex);
	if (!volume) {
		t->ti->error = "the pool has no volume of that name";
		return -ENOENT;
	}
	t->volume = volume;
	if (t->ti->len > volume->nr_sectors) {
		t->ti->error = "the table is larger than the volume";
		return -EINVAL;
	}
	return 0;
}

static int add(struct cdp_target *t)
{
	const char *error = cdp_pool_add_target(t->pool, t);

	if (error) {
		t->ti->error = (char *)error;
		return -EBUSY;
	}
	return 0;
}

static struct cdp_target *target_create(struct dm_target *ti, char **argv, int *r)
{
	struct cdp_target *t = kzalloc(sizeof(*t), GFP_KERNEL);

	if (!t) {
		ti->error = "out of memory";
		*r = -ENOMEM;
		return NULL;
	}
	INIT_LIST_HEAD(&t->list);
	refcount_set(&t->pins, 1);
	init_completion(&t->unpinned);
	t->ti = ti;
	ti->private = t;
	ti->per_io_data_size = sizeof(struct cdp_io);
	*r = find_pool(t, argv[0]);
	if (!*r)
		*r = hold_device(t, t->pool->metadata_dev, &t->metadata_dev);
	if (!*r)
		*r = hold_device(t, t->pool->data_dev, &t->data_dev);
	if (!*r)
		*r = find_volume(t, argv[1]);
	return t;
}

/*
 * cdp <pool dev> <volume>
 */
static int volume_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct cdp_target *t;
	int r;

	if (argc != 2) {
		ti->error = "needs <pool dev> <volume>";
		return -EINVAL;
	}
	t = target_create(ti, argv, &r);
	if (t && !r)
		r = add(t);
	if (r) {
		if (t)
			target_destroy(t);
		return r;
	}
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_discard_bios = 1;
	ti->discards_supported = true;
	ti->num_write_zeroes_bios = 1;
	return 0;
}

/* What was written before the instant has to have completed before the view shows it. */
static int set_instant(struct cdp_target *t, const char *arg)
{
	struct cdp_pool *pool = t->pool;
	unsigned int noio;
	int r;

	noio = memalloc_noio_save();
	mutex_lock(&pool->catalog.mutex);
	r = cdp_parse_instant(pool, t->volume, arg, &t->instant);
	if (!r) {
		t->lineage = cdp_volume_lineage(t->volume, t->instant);
		if (IS_ERR(t->lineage)) {
			r = PTR_ERR(t->lineage);
			t->lineage = NULL;
		}
	}
	mutex_unlock(&pool->catalog.mutex);
	memalloc_noio_restore(noio);
	if (r)
		t->ti->error = "no such instant: it is ahead, before the volume, or no mark of it";
	else
		cdp_pool_drain(pool);
	return r;
}

/*
 * cdp-view <pool dev> <volume> <instant>
 */
static int view_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct cdp_target *t;
	int r;

	if (argc != 3) {
		ti->error = "needs <pool dev> <volume> <instant>";
		return -EINVAL;
	}
	if (cdp_table_writable(ti->table)) {
		ti->error = "the past is read-only: create the device so (dmsetup --readonly)";
		return -EINVAL;
	}
	t = target_create(ti, argv, &r);
	if (t && !r)
		r = set_instant(t, argv[2]);
	if (t && !r)
		r = add(t);
	if (r && t)
		target_destroy(t);
	return r;
}

static void target_dtr(struct dm_target *ti)
{
	target_destroy(ti->private);
}

static void begin(struct cdp_target *t, struct cdp_io *io, struct bio *bio)
{
	io->pool = t->pool;
	io->volume = t->volume;
	io->lineage = t->lineage;
	io->extents = NULL;
	io->fua = false;
	if (bio_sectors(bio))
		bio->bi_iter.bi_sector = dm_target_offset(t->ti, bio->bi_iter.bi_sector);
}

static int volume_map(struct dm_target *ti, struct bio *bio)
{
	struct cdp_io *io = bio_io(bio);

	begin(ti->private, io, bio);
	return cdp_io_map(io, bio);
}

static int view_map(struct dm_target *ti, struct bio *bio)
{
	struct cdp_io *io = bio_io(bio);

	begin(ti->private, io, bio);
	if (bio_op(bio) != REQ_OP_READ)
		return DM_MAPIO_KILL;
	return cdp_io_map(io, bio);
}

static int target_end_io(struct dm_target *ti, struct bio *bio, blk_status_t *error)
{
	return cdp_io_end(bio_io(bio), bio, error);
}

/* INFO: <volume id> <sectors> <branches> <start of the current branch> */
static void volume_info(struct cdp_target *t, char *result, unsigned int maxlen)
{
	struct cdp_volume *volume = t->volume;
	unsigned int sz = 0;

	mutex_lock(&t->pool->catalog.mutex);
	DMEMIT("%u %llu %u %llu", volume->id, volume->nr_sectors, volume->nr_branches,
	       volume->branches[volume->nr_branches - 1].start);
	mutex_unlock(&t->pool->catalog.mutex);
}

static void volume_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			  char *result, unsigned int maxlen)
{
	struct cdp_target *t = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		volume_info(t, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %s", t->pool_dev->name, t->volume->name);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static void view_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			char *result, unsigned int maxlen)
{
	struct cdp_target *t = ti->private;
	unsigned int sz = 0;

	switch (type) {
	case STATUSTYPE_INFO:
		DMEMIT("%u %llu %llu", t->volume->id, t->volume->nr_sectors, t->instant);
		break;
	case STATUSTYPE_TABLE:
		DMEMIT("%s %s %llu", t->pool_dev->name, t->volume->name, t->instant);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int target_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn,
				  void *data)
{
	struct cdp_target *t = ti->private;

	return fn(ti, t->pool_dev, 0, bdev_nr_sectors(t->pool_dev->bdev), data);
}

/*
 * Any sector can be written; whole blocks are what costs least.
 */
static void target_io_hints(struct dm_target *ti, struct queue_limits *limits)
{
	struct cdp_target *t = ti->private;
	unsigned int bytes = t->pool->block_sectors << SECTOR_SHIFT;

	limits->physical_block_size = max(limits->physical_block_size, bytes);
	limits->io_min = bytes;
	limits->io_opt = bytes << (CDP_LEVEL_SHIFT * 2);
	if (!t->lineage)
		cdp_set_discard_limits(limits, bytes);
}

struct target_type cdp_volume_target = {
	.name = "cdp",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = volume_ctr,
	.dtr = target_dtr,
	.map = volume_map,
	.end_io = target_end_io,
	.status = volume_status,
	.iterate_devices = target_iterate_devices,
	.io_hints = target_io_hints,
};

struct target_type cdp_view_target = {
	.name = "cdp-view",
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = view_ctr,
	.dtr = target_dtr,
	.map = view_map,
	.end_io = target_end_io,
	.status = view_status,
	.iterate_devices = target_iterate_devices,
	.io_hints = target_io_hints,
};
