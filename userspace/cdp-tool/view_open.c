// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mount.h"
#include "online.h"
#include "overlay.h"
#include "verbs.h"

struct view {
	struct cdp_path path;
	char name[CDP_DM_NAME_SIZE];
	char device[CDP_DM_NAME_SIZE + 16];
	u64 instant;
	u64 sectors;
};

/* <pool>-<volume>@<mark>, or @<microseconds>. */
static int make_name(struct view *v, const char *at, const char *wanted)
{
	char instant[CDP_NAME_SIZE + 1];
	struct cdp_device existing;
	struct cdp_instant parsed;

	if (!cdp_instant_parse(&parsed, at) && parsed.kind == CDP_INSTANT_MARK)
		snprintf(instant, sizeof(instant), "%s", parsed.mark);
	else
		snprintf(instant, sizeof(instant), "%llu", v->instant);
	if (wanted)
		snprintf(v->name, sizeof(v->name), "%s", wanted);
	else if (cdp_path_view(v->name, &v->path, instant))
		return fail(EXIT_USAGE,
			    "'%s-%s@%s' is longer than the %d characters of a view's name; --name NAME gives a shorter one",
			    v->path.pool, v->path.volume, instant, CDP_VIEW_NAME_MAX);
	snprintf(v->device, sizeof(v->device), "/dev/mapper/%s", v->name);
	if (cdp_device_table(&existing, v->name))
		return 0;
	cdp_device_exit(&existing);
	return fail(EXIT_EXISTS, "%s is open already; --name NAME gives another name", v->device);
}

static int prepare(struct view *v, const char *at, const char *name)
{
	struct cdp_volume_line volume;
	u64 branch;
	int r;

	r = volume_find(&volume, &v->path);
	if (!r)
		r = instant_resolve(&v->instant, &branch, &v->path, at);
	if (r)
		return r;
	v->sectors = volume.sectors;
	return make_name(v, at, name);
}

static int report(const struct view *v, const char *directory)
{
	json_object *result = json_object_new_object();
	char time[CDP_TIME_TEXT];

	cdp_time_format(time, v->instant);
	say("%s/%s at %s is %s\n", v->path.pool, v->path.volume, time, v->device);
	if (directory)
		say("mounted read-only at %s; 'cdp-tool view close %s' ends it\n", directory,
		    directory);
	json_add_text(result, "pool", v->path.pool);
	json_add_text(result, "volume", v->path.volume);
	json_add_time(result, "instant", v->instant);
	json_add_text(result, "view", v->name);
	json_add_text(result, "device", v->device);
	json_add(result, "mounted_at", directory ? json_object_new_string(directory) : NULL);
	return done(result);
}

static int mount_replayed(const struct view *v, const char *directory)
{
	char name[CDP_DM_NAME_SIZE], device[CDP_DM_NAME_SIZE + 16];
	int r;

	r = overlay_open(name, v->name);
	if (r)
		return r;
	snprintf(device, sizeof(device), "/dev/mapper/%s", name);
	return mount_view(device, directory, true);
}

static int open_view(const struct view *v, const struct cdp_device *pool, const char *directory,
		     bool replay)
{
	int r;

	r = view_activate(v->name, pool, &v->path, v->sectors, v->instant);
	if (!r && directory) {
		r = replay ? mount_replayed(v, directory) : mount_view(v->device, directory, false);
		if (r)
			view_remove(v->name);
	}
	return r ? r : report(v, directory);
}

static int check_name(const char *name)
{
	if (!name || !cdp_view_name_check(name))
		return 0;
	return fail(EXIT_USAGE,
		    "'%s' is not the name of a view: 1 to %d of [A-Za-z0-9._+:-], the first a letter or digit",
		    name, CDP_VIEW_NAME_MAX);
}

static int check_directory(const char *directory)
{
	struct stat st;

	if (!directory || (!stat(directory, &st) && S_ISDIR(st.st_mode)))
		return 0;
	return fail(EXIT_NOT_FOUND, "there is no directory %s to mount at", directory);
}

int view_open_main(int argc, char **argv)
{
	const char *at = NULL, *name = NULL, *directory = NULL;
	bool no_replay = false;
	const struct option_spec specs[] = {
		{ .name = "at", .value = &at }, { .name = "name", .value = &name },
		{ .name = "mount", .value = &directory },
		{ .name = "no-replay", .flag = &no_replay }, { .name = NULL }
	};
	struct cdp_device pool;
	struct view view = { 0 };
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_volume(&view.path, argv[0]);
	if (!r && !at)
		r = usage_error("--at INSTANT is needed");
	if (!r)
		r = check_name(name);
	if (!r)
		r = check_directory(directory);
	if (!r)
		r = pool_find(&pool, view.path.pool);
	if (r)
		return r;
	r = prepare(&view, at, name);
	if (!r)
		r = open_view(&view, &pool, directory, !no_replay);
	cdp_device_exit(&pool);
	return r;
}
