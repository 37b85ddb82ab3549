// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "holders.h"
#include "online.h"
#include "size.h"
#include "verbs.h"

static int show_device(const struct cdp_device *device, json_object *result)
{
	json_object *holders;
	char *text;

	if (!*device->name) {
		print("  %-12s not open\n", "device");
		json_add(result, "device", NULL);
		return 0;
	}
	holders = holders_find(device->major, device->minor, NULL);
	text = holders_text(holders);
	print("  %-12s /dev/mapper/%s%s\n", "device", device->name,
	      device->suspended ? ", suspended" : "");
	print("  %-12s %s\n", "held by",
	      text && *text ? text : device->open_count ? "somebody" : "nobody");
	free(text);
	json_add_text(result, "device", device->name);
	json_add_bool(result, "suspended", device->suspended);
	json_add_number(result, "open_count", device->open_count);
	json_add(result, "holders", holders);
	return 0;
}

static int show_branch(const struct cdp_path *path, json_object *result)
{
	struct cdp_branch_line *branches;
	char time[CDP_TIME_TEXT];
	unsigned int nr;
	int r;

	r = cdp_pool_list_branches(path->pool, path->volume, &branches, &nr);
	if (r)
		return fail_errno(r, "branches of %s/%s", path->pool, path->volume);
	if (nr) {
		cdp_time_format(time, branches[nr - 1].start);
		print("  %-12s %u of %u, since %s\n", "branch", branches[nr - 1].branch, nr, time);
		json_add_number(result, "branch", branches[nr - 1].branch);
		json_add_time(result, "branch_start", branches[nr - 1].start);
	}
	json_add_number(result, "branches", nr);
	free(branches);
	return 0;
}

static int show(const struct cdp_device *pool, const struct cdp_path *path, json_object *result)
{
	char size[CDP_SIZE_TEXT], created[CDP_TIME_TEXT];
	struct cdp_volume_line v;
	struct cdp_device device;
	int r;

	r = volume_find(&v, path);
	if (!r)
		r = volume_device(&device, pool, path);
	if (r)
		return r;
	cdp_size_format(size, v.sectors * 512);
	cdp_time_format(created, v.created);
	print("volume %s/%s\n", path->pool, path->volume);
	print("  %-12s %s\n  %-12s %s\n  %-12s %u\n", "size", size, "created", created, "id", v.id);
	json_add_text(result, "pool", path->pool);
	json_add_text(result, "volume", path->volume);
	json_add_number(result, "id", v.id);
	json_add_number(result, "size", v.sectors * 512);
	json_add_time(result, "created", v.created);
	r = show_branch(path, result);
	if (!r)
		r = show_device(&device, result);
	cdp_device_exit(&device);
	return r;
}

int volume_status_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	struct cdp_device pool;
	struct cdp_path path;
	json_object *result;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_volume(&path, argv[0]);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	result = json_object_new_object();
	r = show(&pool, &path, result);
	cdp_device_exit(&pool);
	if (!r)
		return done(result);
	json_object_put(result);
	return r;
}
