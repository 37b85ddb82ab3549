// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "online.h"
#include "size.h"
#include "verbs.h"

static int parse_size(u64 *bytes, const char *text)
{
	int r = cdp_size_parse(bytes, text);

	if (r == -ERANGE)
		return usage_error("size '%s' is too large", text);
	if (r)
		return usage_error("'%s' is not a size: 10G, 512M, 1TiB", text);
	return 0;
}

/* Rounded up to whole blocks of the pool. */
static int round_size(u64 *bytes, const struct cdp_device *pool, const char *text)
{
	const u64 max = (1ULL << CDP_LBA_BITS) - 1;
	struct cdp_pool_table table;
	u64 block;

	if (cdp_table_pool(&table, pool->params) || !table.block_sectors)
		return fail_errno(-EPROTO, "table of pool '%s'", pool->name);
	block = table.block_sectors * 512ULL;
	if (!*bytes || *bytes > max * block)
		return fail(EXIT_USAGE,
			    "size '%s': a volume of pool '%s' has 1 to %llu blocks of %llu bytes, %llu bytes at most",
			    text, pool->name, max, block, max * block);
	*bytes = (*bytes + block - 1) / block * block;
	return 0;
}

static int create(const struct cdp_device *pool, const struct cdp_path *path, u64 bytes, bool open)
{
	char size[CDP_SIZE_TEXT], device[CDP_DM_NAME_SIZE];
	json_object *result;
	u64 time;
	int r;

	r = cdp_pool_create_volume(path->pool, path->volume, bytes / 512, &time);
	if (r)
		return fail_errno(r, "volume %s/%s", path->pool, path->volume);
	cdp_size_format(size, bytes);
	say("volume %s/%s is created, %s\n", path->pool, path->volume, size);
	cdp_path_device(device, path);
	if (open) {
		r = volume_activate(pool, path, bytes / 512);
		if (r)
			return r;
		say("its device is /dev/mapper/%s\n", device);
	} else {
		say("open it: cdp-tool volume open %s/%s\n", path->pool, path->volume);
	}
	result = json_object_new_object();
	json_add_text(result, "pool", path->pool);
	json_add_text(result, "volume", path->volume);
	json_add_number(result, "size", bytes);
	json_add_time(result, "created", time);
	json_add_bool(result, "open", open);
	return done(result);
}

int volume_create_main(int argc, char **argv)
{
	bool open = false;
	const struct option_spec specs[] = { { .name = "open", .flag = &open }, { .name = NULL } };
	struct cdp_device pool;
	struct cdp_path path;
	u64 bytes;
	int r, nr;

	r = options_parse(argc, argv, specs, 2, 2, &nr);
	if (!r)
		r = parse_volume(&path, argv[0]);
	if (!r)
		r = parse_size(&bytes, argv[1]);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	r = round_size(&bytes, &pool, argv[1]);
	if (!r)
		r = create(&pool, &path, bytes, open);
	cdp_device_exit(&pool);
	return r;
}
