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

/* The view that is the device, itself or by its overlay. */
static int find_number(char name[CDP_DM_NAME_SIZE], u32 major, u32 minor)
{
	struct cdp_device *list;
	unsigned int i, nr;
	int r;

	r = cdp_device_list(NULL, &list, &nr);
	if (r)
		return fail_errno(r, "list of devices");
	*name = '\0';
	for (i = 0; i < nr; i++) {
		const char *view = is_view(&list[i]) ? list[i].name : overlay_view(&list[i]);

		if (view && list[i].major == major && list[i].minor == minor)
			snprintf(name, CDP_DM_NAME_SIZE, "%s", view);
	}
	cdp_device_list_free(list, nr);
	return 0;
}

/* path: the directory's, without links. */
static int find_mounted(struct cdp_device *view, char path[PATH_MAX], const char *directory)
{
	char name[CDP_DM_NAME_SIZE];
	u32 major, minor;
	int r;

	r = mount_find(directory, path, &major, &minor);
	if (r == -EINVAL)
		return fail(EXIT_NOT_FOUND, "nothing is mounted at %s", directory);
	if (r)
		return fail_errno(r, "directory %s", directory);
	r = find_number(name, major, minor);
	if (r)
		return r;
	if (!*name)
		return fail(EXIT_NOT_FOUND,
			    "what is mounted at %s is not a view; 'cdp-tool view list' lists them",
			    directory);
	return find_named(view, name);
}

/* directory: where it is mounted, to be unmounted once nobody else has it open; or NULL. */
static int close_view(const struct cdp_device *view, const char *directory)
{
	json_object *result;
	int r;

	r = view_refuse_open(view, directory);
	if (!r && directory) {
		r = unmount_view(directory);
		if (!r)
			r = view_refuse_open(view, NULL);
	}
	if (!r)
		r = view_remove(view->name);
	if (r)
		return r;
	say("closed %s\n", view->name);
	result = json_object_new_object();
	json_add_text(result, "closed", view->name);
	return done(result);
}

static bool is_directory(const char *word)
{
	return strchr(word, '/') && strncmp(word, mapper, strlen(mapper));
}

int view_close_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	const char *directory = NULL;
	struct cdp_device view;
	char path[PATH_MAX];
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (r)
		return r;
	if (is_directory(argv[0])) {
		r = find_mounted(&view, path, argv[0]);
		directory = path;
	} else {
		r = find_named(&view, argv[0]);
	}
	if (r)
		return r;
	r = close_view(&view, directory);
	cdp_device_exit(&view);
	return r;
}
