// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>

#include "holders.h"
#include "online.h"
#include "overlay.h"
#include "verbs.h"

/* Of its overlay, if there is one, and its own but for that. */
static int find_holders(const struct cdp_device *view, json_object **holders)
{
	struct holders_known known = { .opens = 0 };
	struct cdp_device overlay;
	json_object *own;
	size_t i;
	int r;

	r = overlay_find(&overlay, view->name);
	if (r)
		return r;
	known.stacked = *overlay.name;
	own = holders_find(view->major, view->minor, &known);
	if (*overlay.name)
		*holders = holders_find(overlay.major, overlay.minor, NULL);
	else
		*holders = json_object_new_array();
	for (i = 0; i < json_object_array_length(own); i++)
		json_object_array_add(*holders, json_object_get(json_object_array_get_idx(own, i)));
	json_object_put(own);
	cdp_device_exit(&overlay);
	return 0;
}

static int show(const struct cdp_device *view, json_object *result)
{
	struct cdp_volume_table table;
	struct cdp_view_status status;
	json_object *o, *holders;
	char time[CDP_TIME_TEXT];
	struct cdp_device device;
	char *text;
	int r;

	r = cdp_table_volume(&table, view->params);
	if (!r)
		r = cdp_device_status(&device, view->name);
	if (r)
		return fail_errno(r, "view '%s'", view->name);
	r = cdp_status_view(&status, device.params);
	cdp_device_exit(&device);
	if (r)
		return fail_errno(r, "status of view '%s'", view->name);

	r = find_holders(view, &holders);
	if (r)
		return r;
	text = holders_text(holders);
	cdp_time_format(time, status.instant);
	print("%-40s %-20s %-26s  %s\n", view->name, table.volume, time,
	      text && *text ? text : "-");
	free(text);
	o = json_object_new_object();
	json_add_text(o, "view", view->name);
	json_add_text(o, "volume", table.volume);
	json_add_time(o, "instant", status.instant);
	json_add_number(o, "size", status.sectors * 512);
	json_add(o, "holders", holders);
	json_object_array_add(result, o);
	return 0;
}

static int list_views(const char *pool_name, struct cdp_device **list, unsigned int *nr)
{
	struct cdp_device pool;
	struct cdp_path path;
	int r;

	*list = NULL;
	*nr = 0;
	if (!pool_name) {
		r = cdp_device_list(CDP_TARGET_VIEW, list, nr);
		return r ? fail_errno(r, "list of devices") : 0;
	}
	r = parse_pool(&path, pool_name);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	r = pool_devices(&pool, CDP_TARGET_VIEW, list, nr);
	cdp_device_exit(&pool);
	return r;
}

int view_list_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	struct cdp_device *list;
	json_object *result;
	unsigned int i, nr;
	int r, words;

	r = options_parse(argc, argv, specs, 0, 1, &words);
	if (!r)
		r = list_views(words ? argv[0] : NULL, &list, &nr);
	if (r)
		return r;
	result = json_object_new_array();
	if (nr && !tool.quiet)
		print("%-40s %-20s %-26s  %s\n", "VIEW", "VOLUME", "INSTANT", "HELD BY");
	for (i = 0; i < nr && !r; i++)
		r = show(&list[i], result);
	cdp_device_list_free(list, nr);
	if (!r)
		return done(result);
	json_object_put(result);
	return r;
}
