// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lineage.h"
#include "online.h"
#include "size.h"
#include "verbs.h"

/*
 * The time line: what the pool tells of volumes, branches and marks, sorted by time.
 */
enum kind { CREATED, MARKED, REVERTED, NOW };

static const char *const kinds[] = { "create", "mark", "revert", "now" };

struct event {
	u64 time;
	enum kind kind;
	char *volume;		/* or the mark's volumes; NULL: none */
	char *text;
	json_object *json;
};

struct timeline {
	struct event *events;
	unsigned int nr;
	u64 since, until, now;
	const char *volume;	/* NULL: all */
};

/* The event is the timeline's from here on; outside the asked time it is dropped. */
static int add(struct timeline *t, u64 time, enum kind kind, const char *volume,
	       const char *text)
{
	struct event *more;

	if (time < t->since || time > t->until)
		return 0;
	more = realloc(t->events, (t->nr + 1) * sizeof(*more));
	if (!more)
		return fail(EXIT_FAILED, "out of memory");
	t->events = more;
	more += t->nr++;
	more->time = time;
	more->kind = kind;
	more->volume = volume ? strdup(volume) : NULL;
	more->text = strdup(text);
	more->json = json_object_new_object();
	json_add_time(more->json, "time", time);
	json_add_text(more->json, "event", kinds[kind]);
	if (volume)
		json_add_text(more->json, "volume", volume);
	return 0;
}

/* The one that add() made, or NULL if it dropped it. */
static json_object *last_json(const struct timeline *t, u64 time)
{
	if (!t->nr || t->events[t->nr - 1].time != time)
		return NULL;
	return t->events[t->nr - 1].json;
}

static int add_created(struct timeline *t, const struct cdp_volume_line *v)
{
	char text[64], size[CDP_SIZE_TEXT];
	json_object *o;
	int r;

	cdp_size_format(size, v->sectors * 512);
	snprintf(text, sizeof(text), "created, %s", size);
	r = add(t, v->created, CREATED, v->name, text);
	o = last_json(t, v->created);
	if (!r && o)
		json_add_number(o, "size", v->sectors * 512);
	return r;
}

static int add_revert(struct timeline *t, const char *volume, const struct cdp_branch_line *b)
{
	char text[160], to[CDP_TIME_TEXT], back[CDP_DURATION_TEXT];
	json_object *o;
	int r;

	cdp_time_format(to, b->revert_to);
	cdp_duration_format(back, b->start - b->revert_to);
	snprintf(text, sizeof(text), "taken back %s, to %s; branch %u begins (undo: --to us:%llu)",
		 back, to, b->branch, b->start);
	r = add(t, b->start, REVERTED, volume, text);
	o = last_json(t, b->start);
	if (r || !o)
		return r;
	json_add_number(o, "branch", b->branch);
	json_add_time(o, "revert_to", b->revert_to);
	json_add_time(o, "undo", b->start);
	return 0;
}

static int add_volume(struct timeline *t, const char *pool, const struct cdp_volume_line *v)
{
	struct cdp_branch_line *branches;
	unsigned int i, nr;
	int r;

	if (t->volume && strcmp(t->volume, v->name))
		return 0;
	r = cdp_pool_list_branches(pool, v->name, &branches, &nr);
	if (r)
		return fail_errno(r, "branches of %s/%s", pool, v->name);
	r = add_created(t, v);
	for (i = 0; i < nr && !r; i++)
		if (branches[i].revert_to)
			r = add_revert(t, v->name, &branches[i]);
	free(branches);
	return r;
}

static int add_mark(struct timeline *t, const struct cdp_mark_line *m)
{
	char text[CDP_NAME_SIZE + 2];
	json_object *o;
	int r;

	snprintf(text, sizeof(text), "@%s", m->name);
	r = add(t, m->time, MARKED, m->volumes, text);
	o = last_json(t, m->time);
	if (!r && o)
		json_add_text(o, "mark", m->name);
	return r;
}

/* Marks of the volume that is asked for, or all. */
static int add_marks(struct timeline *t, const char *pool, const struct cdp_volume_line *volume)
{
	struct cdp_mark_line *marks;
	unsigned int i, nr;
	int r;

	r = cdp_pool_list_marks(pool, &marks, &nr);
	if (r)
		return fail_errno(r, "marks of pool '%s'", pool);
	for (i = 0; i < nr && !r; i++)
		if (!volume || cdp_mark_has(&marks[i], volume))
			r = add_mark(t, &marks[i]);
	cdp_pool_free_marks(marks, nr);
	return r;
}

static int collect(struct timeline *t, const struct cdp_path *path)
{
	struct cdp_volume_line *volumes;
	struct cdp_volume_line wanted;
	unsigned int i, nr;
	int r;

	if (t->volume) {
		r = volume_find(&wanted, path);
		if (r)
			return r;
	}
	r = cdp_pool_list_volumes(path->pool, &volumes, &nr);
	if (r)
		return fail_errno(r, "volumes of pool '%s'", path->pool);
	for (i = 0; i < nr && !r; i++)
		r = add_volume(t, path->pool, &volumes[i]);
	free(volumes);
	if (!r)
		r = add_marks(t, path->pool, t->volume ? &wanted : NULL);
	return r ? r : add(t, t->now, NOW, NULL, "");
}

static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->time != y->time)
		return x->time < y->time ? -1 : 1;
	return (int)x->kind - (int)y->kind;
}

static void show(const struct timeline *t, const struct event *e, json_object *result)
{
	char time[CDP_TIME_TEXT], ago[CDP_DURATION_TEXT];

	cdp_time_format(time, e->time);
	cdp_duration_format(ago, t->now > e->time ? t->now - e->time : 0);
	if (e->kind == NOW)
		print("%s  %12s  now\n", time, "");
	else
		print("%s  %8s ago  %-7s %-16s %s\n", time, ago, kinds[e->kind],
		      e->volume ? e->volume : "", e->text);
	json_object_array_add(result, json_object_get(e->json));
}

static void timeline_exit(struct timeline *t)
{
	unsigned int i;

	for (i = 0; i < t->nr; i++) {
		free(t->events[i].volume);
		free(t->events[i].text);
		json_object_put(t->events[i].json);
	}
	free(t->events);
}

static int show_all(struct timeline *t, const struct cdp_path *path)
{
	json_object *result;
	unsigned int i;
	int r;

	r = collect(t, path);
	if (r)
		return r;
	if (t->nr)
		qsort(t->events, t->nr, sizeof(*t->events), by_time);
	result = json_object_new_array();
	for (i = 0; i < t->nr; i++)
		show(t, &t->events[i], result);
	return done(result);
}

static int set_bounds(struct timeline *t, const char *pool, const char *since, const char *until)
{
	int r;

	r = cdp_pool_time(pool, &t->now);
	if (r)
		return fail_errno(r, "time of pool '%s'", pool);
	t->until = CDP_TIME_NOW;
	if (since)
		r = instant_of_pool(&t->since, pool, since, t->now);
	if (!r && until)
		r = instant_of_pool(&t->until, pool, until, t->now);
	return r;
}

int log_main(int argc, char **argv)
{
	const char *since = NULL, *until = NULL;
	const struct option_spec specs[] = {
		{ .name = "since", .value = &since }, { .name = "until", .value = &until },
		{ .name = NULL }
	};
	struct timeline t = { 0 };
	struct cdp_device pool;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 1, 1, &nr);
	if (!r)
		r = strchr(argv[0], '/') ? parse_volume(&path, argv[0]) :
					   parse_pool(&path, argv[0]);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	cdp_device_exit(&pool);
	t.volume = *path.volume ? path.volume : NULL;
	r = set_bounds(&t, path.pool, since, until);
	if (!r)
		r = show_all(&t, &path);
	timeline_exit(&t);
	return r;
}
