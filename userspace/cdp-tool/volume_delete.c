// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "busy.h"
#include "online.h"
#include "verbs.h"

static int refuse_device(const struct cdp_path *path, const struct cdp_device *device, bool view)
{
	if (view)
		return fail(EXIT_BUSY, "the volume has a view; 'cdp-tool view close %s' closes it",
			    device->name);
	return fail(EXIT_BUSY, "the volume is open; 'cdp-tool volume close %s/%s' closes it",
		    path->pool, path->volume);
}

/* The kernel refuses it while the volume or a view of it has a device. */
static int refuse_devices(const struct cdp_device *pool, const struct cdp_path *path,
			  const char *target)
{
	struct cdp_volume_table table;
	struct cdp_device *list;
	unsigned int i, nr;
	int r;

	r = pool_devices(pool, target, &list, &nr);
	for (i = 0; i < nr && !r; i++) {
		if (cdp_table_volume(&table, list[i].params) ||
		    strcmp(table.volume, path->volume))
			continue;
		r = refuse_open(&list[i], "the volume", NULL);
		if (!r)
			r = refuse_device(path, &list[i], *table.instant);
	}
	cdp_device_list_free(list, nr);
	return r;
}

static int do_delete(const struct cdp_path *path)
{
	json_object *result;
	int r;

	r = cdp_pool_delete_volume(path->pool, path->volume);
	if (r)
		return fail_errno(r, "delete volume %s/%s", path->pool, path->volume);
	say("volume %s/%s and its history are deleted\n", path->pool, path->volume);
	result = json_object_new_object();
	json_add_text(result, "pool", path->pool);
	json_add_text(result, "deleted", path->volume);
	return done(result);
}

int volume_delete_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	struct cdp_volume_line volume;
	struct cdp_device pool;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_volume(&path, argv[0]);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	r = volume_find(&volume, &path);
	if (!r)
		r = refuse_devices(&pool, &path, CDP_TARGET_VOLUME);
	if (!r)
		r = refuse_devices(&pool, &path, CDP_TARGET_VIEW);
	cdp_device_exit(&pool);
	return r ? r : do_delete(&path);
}
