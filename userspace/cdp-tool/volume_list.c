// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "online.h"
#include "size.h"
#include "verbs.h"

static json_object *volume_json(const struct cdp_volume_line *v, const char *device)
{
	json_object *o = json_object_new_object();

	json_add_text(o, "volume", v->name);
	json_add_number(o, "id", v->id);
	json_add_number(o, "size", v->sectors * 512);
	json_add_time(o, "created", v->created);
	json_add_number(o, "branches", v->branches);
	json_add(o, "device", device ? json_object_new_string(device) : NULL);
	return o;
}

static const char *device_of(const struct cdp_volume_line *v, const struct cdp_device *list,
			     unsigned int nr)
{
	struct cdp_volume_table table;
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (!cdp_table_volume(&table, list[i].params) && !strcmp(table.volume, v->name))
			return list[i].name;
	return NULL;
}

static void show(const struct cdp_volume_line *v, const char *device, json_object *result)
{
	char size[CDP_SIZE_TEXT], created[CDP_TIME_TEXT];

	cdp_size_format(size, v->sectors * 512);
	cdp_time_format(created, v->created);
	print("%-24s %12s  %-26s %8u  %s%s\n", v->name, size, created, v->branches,
	      device ? "/dev/mapper/" : "-", device ? device : "");
	json_object_array_add(result, volume_json(v, device));
}

static int list_volumes(const struct cdp_device *pool, json_object *result)
{
	struct cdp_volume_line *volumes;
	struct cdp_device *devices;
	unsigned int i, nr, nr_devices;
	int r;

	r = cdp_pool_list_volumes(pool->name, &volumes, &nr);
	if (r)
		return fail_errno(r, "volumes of pool '%s'", pool->name);
	r = pool_devices(pool, CDP_TARGET_VOLUME, &devices, &nr_devices);
	if (!r && nr && !tool.quiet)
		print("%-24s %12s  %-26s %8s  %s\n", "VOLUME", "SIZE", "CREATED", "BRANCHES",
		      "DEVICE");
	for (i = 0; i < nr && !r; i++)
		show(&volumes[i], device_of(&volumes[i], devices, nr_devices), result);
	cdp_device_list_free(devices, nr_devices);
	free(volumes);
	return r;
}

int volume_list_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	struct cdp_device pool;
	struct cdp_path path;
	json_object *result;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_pool(&path, argv[0]);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	result = json_object_new_array();
	r = list_volumes(&pool, result);
	cdp_device_exit(&pool);
	if (!r)
		return done(result);
	json_object_put(result);
	return r;
}
