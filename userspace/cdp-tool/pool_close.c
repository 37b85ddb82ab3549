// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "busy.h"
#include "online.h"
#include "overlay.h"
#include "progress.h"
#include "verbs.h"

/* All or nothing: look at every device before the first is removed. */
static int refuse_any_open(const struct cdp_device *list, unsigned int nr)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < nr && !r; i++)
		r = view_refuse_open(&list[i], NULL);
	return r;
}

/* A table of several targets makes a device stand in the list as often. */
static bool is_repeated(const struct cdp_device *list, unsigned int i)
{
	return i && !strcmp(list[i].name, list[i - 1].name);
}

/* A volume has no overlay, so it goes as a view does. */
static int remove_all(const struct cdp_device *list, unsigned int nr, json_object *closed)
{
	unsigned int i;
	int r;

	for (i = 0; i < nr; i++) {
		if (is_repeated(list, i))
			continue;
		r = view_remove(list[i].name);
		if (r)
			return r;
		json_object_array_add(closed, json_object_new_string(list[i].name));
		say("closed %s\n", list[i].name);
	}
	return 0;
}

struct stack {
	struct cdp_device pool;
	struct cdp_device *views, *volumes;
	unsigned int nr_views, nr_volumes;
};

static unsigned int count_devices(const struct cdp_device *list, unsigned int nr)
{
	unsigned int i, devices = 0;

	for (i = 0; i < nr; i++)
		devices += !is_repeated(list, i);
	return devices;
}

/* Each view and volume holds the pool's device once; nobody else may. */
static int refuse_pool_open(const struct stack *s)
{
	const struct holders_known known = {
		.opens = count_devices(s->views, s->nr_views) +
			 count_devices(s->volumes, s->nr_volumes),
		.stacked = true,
	};

	return refuse_open(&s->pool, "the pool", &known);
}

static int close_stack(const struct stack *s, json_object *closed)
{
	int r;

	r = refuse_any_open(s->views, s->nr_views);
	if (!r)
		r = refuse_any_open(s->volumes, s->nr_volumes);
	if (!r)
		r = refuse_pool_open(s);
	if (!r)
		r = remove_all(s->views, s->nr_views, closed);
	if (!r)
		r = remove_all(s->volumes, s->nr_volumes, closed);
	if (r)
		return r;
	progress_begin("closing the pool: the index is written", 0);
	r = remove_all(&s->pool, 1, closed);
	progress_end();
	return r;
}

static int close_pool(const struct cdp_device *pool, json_object *closed)
{
	struct stack s = { .pool = *pool };
	int r;

	r = pool_devices(pool, CDP_TARGET_VIEW, &s.views, &s.nr_views);
	if (!r)
		r = pool_devices(pool, CDP_TARGET_VOLUME, &s.volumes, &s.nr_volumes);
	if (!r)
		r = close_stack(&s, closed);
	cdp_device_list_free(s.views, s.nr_views);
	cdp_device_list_free(s.volumes, s.nr_volumes);
	return r;
}

int pool_close_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	json_object *result, *closed;
	struct cdp_device pool;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = parse_pool(&path, argv[0]);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	result = json_object_new_object();
	closed = json_object_new_array();
	json_add(result, "closed", closed);
	r = close_pool(&pool, closed);
	cdp_device_exit(&pool);
	if (!r)
		return done(result);
	json_object_put(result);
	return r;
}
