// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mount.h"
#include "online.h"
#include "overlay.h"
#include "verbs.h"

static const char mapper[] = "/dev/mapper/";

static bool is_view(const struct cdp_device *device)
{
	return !strcmp(device->target, CDP_TARGET_VIEW);
}

static int find_named(struct cdp_device *view, const char *name)
{
	int r;

	if (!strncmp(name, mapper, strlen(mapper)))
		name += strlen(mapper);
	r = cdp_device_table(view, name);
	if (!r && !is_view(view)) {
		cdp_device_exit(view);
		return fail(EXIT_NOT_FOUND, "'%s' is not a view", name);
	}
	if (r == -ENODEV)
		return fail(EXIT_NOT_FOUND,
			    "there is no view '%s'; 'cdp-tool view list' lists them",
			    name);
	return r ? fail_errno(r, "view '%s'", name) : 0;
}

/* The name of the view that is mounted at the directory, itself or by its overlay. */
static int mounted_name(char name[CDP_DM_NAME_SIZE], const char *directory)
{
	struct cdp_device *list;
	unsigned int i, nr;
	u32 major, minor;
	int r;

	if (mount_find(directory, &major, &minor))
		return fail(EXIT_NOT_FOUND, "there is no directory %s", directory);
	r = cdp_device_list(NULL, &list, &nr);
	if (r)
		return fail_errno(r, "list of devices");
	r = -ENOENT;
	for (i = 0; i < nr && r; i++) {
		const char *view = is_view(&list[i]) ? list[i].name : overlay_view(&list[i]);

		if (!view || list[i].major != major || list[i].minor != minor)
			continue;
		snprintf(name, CDP_DM_NAME_SIZE, "%s", view);
		r = 0;
	}
	cdp_device_list_free(list, nr);
	return r ? fail(EXIT_NOT_FOUND, "no view is mounted at %s", directory) : 0;
}

static int unmount(char name[CDP_DM_NAME_SIZE], const char *directory)
{
	int r = mounted_name(name, directory);

	return r ? r : unmount_view(directory);
}

static int close_view(const struct cdp_device *view)
{
	json_object *result;
	int r;

	r = view_refuse_open(view, NULL);
	if (!r)
		r = view_remove(view->name);
	if (r)
		return r;
	say("closed %s\n", view->name);
	result = json_object_new_object();
	json_add_text(result, "closed", view->name);
	return done(result);
}

int view_close_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	char mounted[CDP_DM_NAME_SIZE];
	struct cdp_device view;
	const char *name;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (r)
		return r;
	name = argv[0];
	if (strchr(name, '/') && strncmp(name, mapper, strlen(mapper))) {
		r = unmount(mounted, name);
		name = mounted;
	}
	if (!r)
		r = find_named(&view, name);
	if (r)
		return r;
	r = close_view(&view);
	cdp_device_exit(&view);
	return r;
}
