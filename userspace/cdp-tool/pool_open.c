// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <unistd.h>

#include "blockdev.h"
#include "online.h"
#include "super.h"
#include "verbs.h"

static int read_block(const struct blockdev *device, void *block)
{
	if (pread(device->fd, block, CDP_UNIT_SIZE, 0) == CDP_UNIT_SIZE)
		return 0;
	return fail(EXIT_FAILED, "%s: its first 4 KiB cannot be read", device->path);
}

/* What the disks say of themselves: whether they are a pool, and of which block size. */
static int read_layout(struct pool_args *args, const struct blockdev *metadata,
		       const struct blockdev *data)
{
	char block[CDP_UNIT_SIZE] __attribute__((aligned(8)));
	struct cdp_super super;
	struct cdp_label label;
	const char *wrong;
	int r;

	r = read_block(metadata, block);
	if (r)
		return r;
	wrong = cdp_super_unpack(&super, block);
	if (wrong)
		return fail(EXIT_FAILED, "%s: %s", metadata->path, wrong);
	r = read_block(data, block);
	if (r)
		return r;
	wrong = cdp_label_unpack(&label, block);
	if (!wrong)
		wrong = cdp_label_mismatch(&label, &super);
	if (wrong)
		return fail(EXIT_FAILED, "%s: %s", data->path, wrong);
	args->block_sectors = super.block_sectors;
	return 0;
}

static int examine(struct pool_args *args, struct blockdev *metadata, struct blockdev *data)
{
	int r;

	r = blockdev_claim(metadata, args->metadata, false);
	if (r)
		return r;
	r = blockdev_claim_other(data, args->data, false, metadata);
	if (!r) {
		r = read_layout(args, metadata, data);
		blockdev_close(data);
	}
	blockdev_close(metadata);
	return r;
}

static int report(const char *pool)
{
	struct cdp_volume_line *volumes;
	json_object *result;
	unsigned int nr;
	int r;

	r = cdp_pool_list_volumes(pool, &volumes, &nr);
	if (r)
		return fail_errno(r, "volumes of pool '%s'", pool);
	say("pool %s is open, %u volume%s\n", pool, nr, nr == 1 ? "" : "s");
	free(volumes);
	result = json_object_new_object();
	json_add_text(result, "pool", pool);
	json_add_number(result, "volumes", nr);
	return done(result);
}

int pool_open_main(int argc, char **argv)
{
	struct pool_args args = { 0 };
	const struct option_spec specs[] = {
		{ .name = "metadata", .value = &args.metadata },
		{ .name = "data", .value = &args.data },
		{ .name = "checkpoint-extents", .value = &args.checkpoint_extents },
		{ .name = "checkpoint-ms", .value = &args.checkpoint_ms }, { .name = NULL }
	};
	struct blockdev metadata, data;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_pool(&path, argv[0]);
	if (!r)
		r = pool_args_check(&args);
	if (!r)
		r = target_check(CDP_TARGET_POOL);
	if (!r)
		r = examine(&args, &metadata, &data);
	if (!r)
		r = pool_activate(path.pool, &args, metadata.major, metadata.minor, data.major,
				  data.minor);
	return r ? r : report(path.pool);
}
