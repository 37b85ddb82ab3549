// SPDX-License-Identifier: GPL-2.0-only
#include "pool.h"
#include "compat/compat.h"

#include <linux/slab.h>

enum {
	DEFAULT_CHECKPOINT_EXTENTS = 128 * 1024,
	DEFAULT_CHECKPOINT_MS = 10 * 1000,
};

struct pool_target {
	struct dm_target *ti;
	struct dm_dev *metadata_dev;
	struct dm_dev *data_dev;
	struct cdp_pool *pool;
	u32 block_sectors;
	struct cdp_options options;
};

/* Tolerates a half-built one. */
static void pool_target_destroy(struct pool_target *pt)
{
	if (pt->pool) {
		cdp_pool_set_target(pt->pool, pt->ti, NULL);
		cdp_pool_put_table(pt->pool);
	}
	if (pt->data_dev)
		dm_put_device(pt->ti, pt->data_dev);
	if (pt->metadata_dev)
		dm_put_device(pt->ti, pt->metadata_dev);
	kfree(pt);
}

static int parse_option(struct cdp_options *options, const char *name, u64 value, char **error)
{
	*error = "an option's value is out of range";
	if (!strcmp(name, "journal_blocks")) {
		options->journal_blocks = value;
		return value >= CDP_MIN_JOURNAL_BLOCKS && value <= CDP_MAX_JOURNAL_BLOCKS ?
		       0 : -EINVAL;
	}
	if (!strcmp(name, "checkpoint_extents")) {
		options->checkpoint_extents = value;
		return value >= 16 && value <= 1 << 24 ? 0 : -EINVAL;
	}
	if (!strcmp(name, "checkpoint_ms")) {
		options->checkpoint_ms = value;
		return value >= 10 && value <= 3600 * 1000 ? 0 : -EINVAL;
	}
	*error = "unknown option: there are journal_blocks, checkpoint_extents and checkpoint_ms";
	return -EINVAL;
}

static int parse_options(struct pool_target *pt, struct dm_arg_set *args)
{
	static const struct dm_arg count = { 0, 6, "wrong number of options" };
	char **error = &pt->ti->error;
	unsigned int nr;
	int r;

	pt->options.checkpoint_extents = DEFAULT_CHECKPOINT_EXTENTS;
	pt->options.checkpoint_ms = DEFAULT_CHECKPOINT_MS;
	if (!args->argc)
		return 0;
	r = dm_read_arg_group(&count, args, &nr, error);
	if (r)
		return r;
	if (nr % 2 || nr != args->argc) {
		*error = "options are pairs of a name and a value";
		return -EINVAL;
	}
	while (args->argc) {
		const char *name = dm_shift_arg(args);
		u64 value;

		if (kstrtou64(dm_shift_arg(args), 10, &value)) {
			*error = "an option's value is not a number";
			return -EINVAL;
		}
		r = parse_option(&pt->options, name, value, error);
		if (r)
			return r;
	}
	return 0;
}

static int parse_devices(struct pool_target *pt, struct dm_arg_set *args)
{
	struct dm_target *ti = pt->ti;
	int r;

	r = dm_get_device(ti, dm_shift_arg(args), dm_table_get_mode(ti->table),
			  &pt->metadata_dev);
	if (r) {
		ti->error = "the metadata device cannot be opened";
		return r;
	}
	r = dm_get_device(ti, dm_shift_arg(args), dm_table_get_mode(ti->table), &pt->data_dev);
	if (r) {
		ti->error = "the data device cannot be opened";
		return r;
	}
	if (pt->metadata_dev->bdev == pt->data_dev->bdev) {
		ti->error = "metadata and data need a device each";
		return -EINVAL;
	}
	if (kstrtou32(dm_shift_arg(args), 10, &pt->block_sectors) ||
	    !is_power_of_2(pt->block_sectors) || pt->block_sectors < CDP_MIN_BLOCK_SECTORS ||
	    pt->block_sectors > CDP_MAX_BLOCK_SECTORS) {
		ti->error = "block size must be a power of two from 8 to 128 sectors";
		return -EINVAL;
	}
	return 0;
}

/*
 * cdp-pool <metadata dev> <data dev> <block size (sectors)>
 *          [<#options> [journal_blocks <n>] [checkpoint_extents <n>] [checkpoint_ms <n>]]
 */
static int pool_ctr(struct dm_target *ti, unsigned int argc, char **argv)
{
	struct dm_arg_set args = { .argc = argc, .argv = argv };
	struct pool_target *pt;
	int r;

	if (argc < 3) {
		ti->error = "needs <metadata dev> <data dev> <block size (sectors)>";
		return -EINVAL;
	}
	pt = kzalloc(sizeof(*pt), GFP_KERNEL);
	if (!pt) {
		ti->error = "out of memory";
		return -ENOMEM;
	}
	pt->ti = ti;
	r = parse_devices(pt, &args);
	if (!r)
		r = parse_options(pt, &args);
	if (!r) {
		pt->pool = cdp_pool_get(dm_table_get_md(ti->table), pt->metadata_dev->bdev,
					pt->data_dev->bdev, pt->block_sectors, &pt->options,
					&ti->error);
		if (IS_ERR(pt->pool)) {
			r = PTR_ERR(pt->pool);
			pt->pool = NULL;
		}
	}
	if (r) {
		pool_target_destroy(pt);
		return r;
	}
	ti->num_flush_bios = 1;
	ti->flush_supported = true;
	ti->num_write_zeroes_bios = 1;	/* else dm would not let the volumes offer it */
	ti->private = pt;
	return 0;
}

static void pool_dtr(struct dm_target *ti)
{
	pool_target_destroy(ti->private);
}

/* The pool's device is for messages and status: its data belong to the volumes. */
static int pool_map(struct dm_target *ti, struct bio *bio)
{
	if (bio->bi_opf & REQ_PREFLUSH && !bio_sectors(bio)) {
		bio_endio(bio);
		return DM_MAPIO_SUBMITTED;
	}
	return DM_MAPIO_KILL;
}

static void pool_presuspend(struct dm_target *ti)
{
	struct pool_target *pt = ti->private;

	cdp_pool_suspend(pt->pool);
}

static void pool_presuspend_undo(struct dm_target *ti)
{
	struct pool_target *pt = ti->private;

	cdp_pool_resume(pt->pool);
}

/* Everything that the volumes have written is in the index while the pool is suspended. */
static void pool_postsuspend(struct dm_target *ti)
{
	struct pool_target *pt = ti->private;

	cdp_checkpoint_pause(pt->pool);
}

static void pool_resume(struct dm_target *ti)
{
	struct pool_target *pt = ti->private;

	cdp_pool_set_target(pt->pool, NULL, ti);
	pt->pool->options.checkpoint_extents = pt->options.checkpoint_extents;
	pt->pool->options.checkpoint_ms = pt->options.checkpoint_ms;
	cdp_pool_resume(pt->pool);
	cdp_checkpoint_resume(pt->pool);
}

static int pool_message(struct dm_target *ti, unsigned int argc, char **argv,
			char *result, unsigned int maxlen)
{
	struct pool_target *pt = ti->private;

	return cdp_message(pt->pool, argc, argv, result, maxlen);
}

/*
 * <mode> <time> <used>/<total data blocks> <used>/<total metadata blocks>
 * <used>/<total journal blocks> <extents in the tail> <volumes> <marks> <checkpoints>
 */
static void emit_info(struct cdp_pool *pool, char *result, unsigned int maxlen)
{
	struct cdp_tail *active, *frozen;
	u64 time, data_free, metadata_blocks, journal, tail;
	unsigned int sz = 0;

	spin_lock_irq(&pool->lock);
	time = pool->gate.time;
	data_free = pool->space.nr_free;
	spin_unlock_irq(&pool->lock);
	spin_lock_irq(&pool->index.tail_lock);
	active = pool->index.active;
	frozen = pool->index.frozen;
	tail = active->nr + (frozen ? frozen->nr : 0);
	journal = pool->journal.head - pool->journal.tail_seq;
	spin_unlock_irq(&pool->index.tail_lock);
	metadata_blocks = pool->metadata.super.nr_metadata_blocks;

	DMEMIT("%s %llu %llu/%llu %llu/%llu %llu/%llu %llu %u %u %llu",
	       cdp_mode_name(pool->mode), time,
	       pool->nr_data_blocks - data_free, pool->nr_data_blocks,
	       metadata_blocks - READ_ONCE(pool->metadata_free), metadata_blocks,
	       journal, pool->journal.blocks, tail,
	       READ_ONCE(pool->catalog.nr_volumes), READ_ONCE(pool->catalog.nr_marks),
	       READ_ONCE(pool->checkpoints));
}

static void emit_table(struct pool_target *pt, char *result, unsigned int maxlen)
{
	const struct cdp_options *o = &pt->options;
	unsigned int sz = 0;

	DMEMIT("%s %s %u %u ", pt->metadata_dev->name, pt->data_dev->name, pt->block_sectors,
	       o->journal_blocks ? 6 : 4);
	if (o->journal_blocks)
		DMEMIT("journal_blocks %llu ", o->journal_blocks);
	DMEMIT("checkpoint_extents %llu checkpoint_ms %u", o->checkpoint_extents,
	       o->checkpoint_ms);
}

static void pool_status(struct dm_target *ti, status_type_t type, unsigned int flags,
			char *result, unsigned int maxlen)
{
	struct pool_target *pt = ti->private;

	switch (type) {
	case STATUSTYPE_INFO:
		emit_info(pt->pool, result, maxlen);
		break;
	case STATUSTYPE_TABLE:
		emit_table(pt, result, maxlen);
		break;
	case STATUSTYPE_IMA:
		*result = '\0';
		break;
	}
}

static int pool_iterate_devices(struct dm_target *ti, iterate_devices_callout_fn fn, void *data)
{
	struct pool_target *pt = ti->private;

	return fn(ti, pt->data_dev, 0, ti->len, data);
}

struct target_type cdp_pool_target = {
	.name = "cdp-pool",
	.features = DM_TARGET_SINGLETON | DM_TARGET_ALWAYS_WRITEABLE | DM_TARGET_IMMUTABLE,
	.version = { 1, 0, 0 },
	.module = THIS_MODULE,
	.ctr = pool_ctr,
	.dtr = pool_dtr,
	.map = pool_map,
	.presuspend = pool_presuspend,
	.presuspend_undo = pool_presuspend_undo,
	.postsuspend = pool_postsuspend,
	.resume = pool_resume,
	.message = pool_message,
	.status = pool_status,
	.iterate_devices = pool_iterate_devices,
};
