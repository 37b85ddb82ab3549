// SPDX-License-Identifier: GPL-2.0-only
#include "online.h"
#include "verbs.h"

static int open_volume(const struct cdp_device *pool, const struct cdp_path *path)
{
	struct cdp_volume_line volume;
	char name[CDP_DM_NAME_SIZE];
	struct cdp_device device;
	json_object *result;
	int r;

	r = volume_find(&volume, path);
	if (!r)
		r = volume_device(&device, pool, path);
	if (!r && *device.name)
		r = fail(EXIT_EXISTS, "volume %s/%s is open already: /dev/mapper/%s", path->pool,
			 path->volume, device.name);
	if (!r)
		r = volume_activate(pool, path, volume.sectors);
	if (r)
		return r;
	cdp_path_device(name, path);
	say("volume %s/%s is /dev/mapper/%s\n", path->pool, path->volume, name);
	result = json_object_new_object();
	json_add_text(result, "pool", path->pool);
	json_add_text(result, "volume", path->volume);
	json_add_text(result, "device", name);
	return done(result);
}

int volume_open_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
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
	r = open_volume(&pool, &path);
	cdp_device_exit(&pool);
	return r;
}
