// SPDX-License-Identifier: GPL-2.0-only
#include <linux/dm-cdp.h>

#include "blockdev.h"
#include "geometry.h"
#include "online.h"
#include "size.h"
#include "verbs.h"

struct create_args {
	struct pool_args pool;
	const char *block_size;
	const char *journal;
	bool force;
};

static int parse_sizes(struct create_args *a)
{
	u64 bytes;

	a->pool.block_sectors = CDP_MIN_BLOCK_SECTORS;
	if (a->block_size) {
		if (cdp_size_parse(&bytes, a->block_size) || bytes & (bytes - 1) ||
		    bytes < CDP_MIN_BLOCK_SECTORS * 512 || bytes > CDP_MAX_BLOCK_SECTORS * 512)
			return usage_error("block size '%s' is not a power of two from 4K to 64K",
					   a->block_size);
		a->pool.block_sectors = bytes / 512;
	}
	if (a->journal) {
		if (cdp_size_parse(&bytes, a->journal) || bytes % CDP_UNIT_SIZE ||
		    bytes / CDP_UNIT_SIZE < CDP_MIN_JOURNAL_BLOCKS ||
		    bytes / CDP_UNIT_SIZE > CDP_MAX_JOURNAL_BLOCKS)
			return usage_error("journal size '%s' is not n * 4K from 64K to 4G",
					   a->journal);
		a->pool.journal_blocks = bytes / CDP_UNIT_SIZE;
	}
	return 0;
}

/* What the module would find only after the devices were wiped. */
static int check_sizes(const struct create_args *a, const struct blockdev *metadata,
		       const struct blockdev *data)
{
	struct cdp_geometry g = {
		.metadata_bytes = metadata->bytes, .data_bytes = data->bytes,
		.block_sectors = a->pool.block_sectors, .journal_blocks = a->pool.journal_blocks,
	};
	char has[CDP_SIZE_TEXT], journal[CDP_SIZE_TEXT];

	switch (cdp_geometry_fill(&g)) {
	case CDP_GEOMETRY_OK:
		return 0;
	case CDP_GEOMETRY_DATA_SMALL:
		cdp_size_format(has, data->bytes);
		cdp_size_format(journal, g.journal_blocks * CDP_UNIT_SIZE);
		return fail(EXIT_FAILED,
			    "%s is too small (%s) for a journal of %s and a block; a larger device, or a smaller --journal",
			    data->path, has, journal);
	case CDP_GEOMETRY_DATA_LARGE:
		cdp_size_format(has, data->bytes);
		return fail(EXIT_FAILED,
			    "%s is too large (%s): no metadata device can keep account of so many blocks; a larger --block-size may help",
			    data->path, has);
	case CDP_GEOMETRY_METADATA_SMALL:
		break;
	}
	return fail(EXIT_FAILED, "%s is too small: it has %llu bytes, metadata for %s need %llu",
		    metadata->path, metadata->bytes, data->path, g.metadata_min);
}

static int prepare(const struct blockdev *metadata, const struct blockdev *data, bool force)
{
	int r;

	if (!force) {
		r = blockdev_check_empty(metadata);
		if (!r)
			r = blockdev_check_empty(data);
		if (r)
			return r;
	}
	r = blockdev_wipe(metadata);
	return r ? r : blockdev_wipe(data);
}

/*
 * Claims and checks both, and wipes them if nothing is in the way; the kernel formats what begins
 * with zeroes.
 */
static int prepare_devices(const struct create_args *a, struct blockdev *metadata,
			   struct blockdev *data)
{
	int r;

	r = blockdev_claim(metadata, a->pool.metadata, true);
	if (r)
		return r;
	r = blockdev_claim_other(data, a->pool.data, true, metadata);
	if (!r) {
		r = check_sizes(a, metadata, data);
		if (!r)
			r = prepare(metadata, data, a->force);
		blockdev_close(data);
	}
	blockdev_close(metadata);
	return r;
}

static int report(const char *pool, const struct create_args *a)
{
	json_object *result = json_object_new_object();

	say("pool %s is formatted and open: metadata on %s, data on %s\n", pool,
	    a->pool.metadata, a->pool.data);
	say("make a volume: cdp-tool volume create %s/<volume> SIZE --open\n", pool);
	json_add_text(result, "pool", pool);
	json_add_text(result, "metadata", a->pool.metadata);
	json_add_text(result, "data", a->pool.data);
	json_add_number(result, "block_size", a->pool.block_sectors * 512ULL);
	return done(result);
}

int pool_create_main(int argc, char **argv)
{
	struct create_args a = { .pool.fresh = true };
	const struct option_spec specs[] = {
		{ .name = "metadata", .value = &a.pool.metadata },
		{ .name = "data", .value = &a.pool.data },
		{ .name = "block-size", .value = &a.block_size },
		{ .name = "journal", .value = &a.journal },
		{ .name = "checkpoint-extents", .value = &a.pool.checkpoint_extents },
		{ .name = "checkpoint-ms", .value = &a.pool.checkpoint_ms },
		{ .name = "force", .flag = &a.force }, { .name = NULL }
	};
	struct blockdev metadata, data;
	struct cdp_device existing;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_pool(&path, argv[0]);
	if (!r)
		r = pool_args_check(&a.pool);
	if (!r)
		r = parse_sizes(&a);
	if (!r)
		r = target_check(CDP_TARGET_POOL);
	if (r)
		return r;
	if (!cdp_device_table(&existing, path.pool)) {
		cdp_device_exit(&existing);
		return fail(EXIT_EXISTS, "a device named '%s' is open already", path.pool);
	}
	r = prepare_devices(&a, &metadata, &data);
	if (!r)
		r = pool_activate(path.pool, &a.pool, metadata.major, metadata.minor, data.major,
				  data.minor);
	return r ? r : report(path.pool, &a);
}
