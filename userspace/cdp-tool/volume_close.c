// SPDX-License-Identifier: GPL-2.0-only
#include "busy.h"
#include "online.h"
#include "verbs.h"

static int close_volume(const struct cdp_device *device, const struct cdp_path *path)
{
	json_object *result;
	int r;

	if (!*device->name)
		return fail(EXIT_NOT_FOUND, "volume %s/%s is not open", path->pool, path->volume);
	r = refuse_open(device, "the volume", NULL);
	if (r)
		return r;
	r = cdp_device_remove(device->name);
	if (r)
		return fail_errno(r, "close %s", device->name);
	say("volume %s/%s is closed\n", path->pool, path->volume);
	result = json_object_new_object();
	json_add_text(result, "pool", path->pool);
	json_add_text(result, "closed", path->volume);
	return done(result);
}

int volume_close_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	struct cdp_device pool, device;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_volume(&path, argv[0]);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	r = volume_device(&device, &pool, &path);
	cdp_device_exit(&pool);
	if (r)
		return r;
	r = close_volume(&device, &path);
	cdp_device_exit(&device);
	return r;
}
