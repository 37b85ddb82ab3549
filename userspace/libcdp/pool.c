// SPDX-License-Identifier: GPL-2.0-only
#include "pool.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

static int __attribute__((format(printf, 3, 4)))
ask(char **reply, const char *pool, const char *format, ...)
{
	char *message;
	va_list args;
	int r;

	*reply = NULL;
	va_start(args, format);
	r = vasprintf(&message, format, args);
	va_end(args);
	if (r < 0)
		return -ENOMEM;
	r = cdp_device_message(pool, message, reply);
	free(message);
	return r;
}

/* For messages that answer one or two numbers; second may be NULL. */
static int take_times(int r, char *reply, u64 *first, u64 *second)
{
	u64 unused;

	if (!r)
		r = cdp_reply_times(reply, first, second ? second : &unused);
	free(reply);
	return r;
}

static int take_nothing(int r, char *reply)
{
	free(reply);
	return r;
}

int cdp_pool_time(const char *pool, u64 *time)
{
	char *reply;
	int r = ask(&reply, pool, "time");

	return take_times(r, reply, time, NULL);
}

int cdp_pool_checkpoint(const char *pool)
{
	char *reply;
	int r = ask(&reply, pool, "checkpoint");

	return take_nothing(r, reply);
}

int cdp_pool_create_volume(const char *pool, const char *volume, u64 sectors, u64 *time)
{
	char *reply;
	int r = ask(&reply, pool, "create_volume %s %llu", volume, sectors);

	return take_times(r, reply, time, NULL);
}

int cdp_pool_delete_volume(const char *pool, const char *volume)
{
	char *reply;
	int r = ask(&reply, pool, "delete_volume %s", volume);

	return take_nothing(r, reply);
}

int cdp_pool_mark(const char *pool, const char *mark, const char *volumes, u64 *time)
{
	char *reply;
	int r = ask(&reply, pool, "mark %s %s", mark, volumes);

	return take_times(r, reply, time, NULL);
}

int cdp_pool_unmark(const char *pool, const char *mark)
{
	char *reply;
	int r = ask(&reply, pool, "unmark %s", mark);

	return take_nothing(r, reply);
}

int cdp_pool_revert(const char *pool, const char *volume, const char *instant,
		    u64 *time, u64 *resolved)
{
	char *reply;
	int r = ask(&reply, pool, "revert %s %s", volume, instant);

	return take_times(r, reply, time, resolved);
}

int cdp_pool_resolve(const char *pool, const char *volume, const char *instant,
		     u64 *resolved, u64 *branch)
{
	char *reply;
	int r = ask(&reply, pool, "resolve %s %s", volume, instant);

	return take_times(r, reply, resolved, branch);
}

/*
 * A list of lines of one kind, as parse() makes them.
 */
struct lines {
	void *list;
	unsigned int nr, max;
	size_t size;
	int (*parse)(void *entry, const char *line);
};

static int append_line(struct lines *l, const char *line)
{
	unsigned int max = l->max ? 2 * l->max : 16;
	void *more;
	int r;

	if (l->nr == l->max) {
		more = reallocarray(l->list, max, l->size);
		if (!more)
			return -ENOMEM;
		l->list = more;
		l->max = max;
	}
	r = l->parse((char *)l->list + l->nr * l->size, line);
	if (!r)
		l->nr++;
	return r;
}

static int append_lines(struct lines *l, const char *text)
{
	char *line;
	int r = 0;

	while (!r && (line = cdp_reply_line(&text))) {
		r = append_line(l, line);
		free(line);
	}
	return r;
}

static int parse_volume(void *entry, const char *line)
{
	return cdp_reply_volume(entry, line);
}

/* The volumes in a text of their own: the line goes. */
static int parse_mark(void *entry, const char *line)
{
	struct cdp_mark_line *m = entry;
	int r = cdp_reply_mark(m, line);

	if (r)
		return r;
	m->volumes = strndup(m->volumes, m->volumes_len);
	return m->volumes ? 0 : -ENOMEM;
}

void cdp_pool_free_marks(struct cdp_mark_line *list, unsigned int nr)
{
	while (nr)
		free((char *)list[--nr].volumes);
	free(list);
}

static int parse_branch(void *entry, const char *line)
{
	return cdp_reply_branch(entry, line);
}

/* The list, or after an error nothing. */
static void *finish(int r, struct lines *l, unsigned int *nr)
{
	if (r) {
		free(l->list);
		l->list = NULL;
		l->nr = 0;
	}
	*nr = l->nr;
	return l->list;
}

int cdp_pool_list_volumes(const char *pool, struct cdp_volume_line **list, unsigned int *nr)
{
	struct lines l = { .size = sizeof(**list), .parse = parse_volume };
	char *reply;
	int r;

	r = ask(&reply, pool, "list_volumes");
	if (!r)
		r = append_lines(&l, reply);
	free(reply);
	*list = finish(r, &l, nr);
	return r;
}

int cdp_pool_list_branches(const char *pool, const char *volume,
			   struct cdp_branch_line **list, unsigned int *nr)
{
	struct lines l = { .size = sizeof(**list), .parse = parse_branch };
	char *reply;
	int r;

	r = ask(&reply, pool, "list_branches %s", volume);
	if (!r)
		r = append_lines(&l, reply);
	free(reply);
	*list = finish(r, &l, nr);
	return r;
}

/* An answer holds as many marks as fit: ask for those after the last one until none come. */
int cdp_pool_list_marks(const char *pool, struct cdp_mark_line **list, unsigned int *nr)
{
	struct lines l = { .size = sizeof(**list), .parse = parse_mark };
	unsigned int before;
	u64 after = 0;
	char *reply;
	int r;

	do {
		before = l.nr;
		r = ask(&reply, pool, "list_marks %llu", after);
		if (!r)
			r = append_lines(&l, reply);
		free(reply);
		if (!r && l.nr > before) {
			const struct cdp_mark_line *marks = l.list;

			if (marks[l.nr - 1].time <= after)
				r = -EPROTO;
			after = marks[l.nr - 1].time;
		}
	} while (!r && l.nr > before);
	*list = l.list;
	*nr = l.nr;
	if (r) {
		cdp_pool_free_marks(*list, *nr);
		*list = NULL;
		*nr = 0;
	}
	return r;
}
