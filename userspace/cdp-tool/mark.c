// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "online.h"
#include "verbs.h"

/* The volumes with blanks between, or "*". */
static char *join(char **words, int nr)
{
	char *list = calloc(nr + 1, CDP_NAME_SIZE);
	int i;

	if (!list)
		return NULL;
	for (i = 0; i < nr; i++) {
		strcat(list, words[i]);
		strcat(list, i + 1 < nr ? " " : "");
	}
	if (!nr)
		strcpy(list, "*");
	return list;
}

static int check_volumes(char **words, int nr)
{
	char name[CDP_NAME_SIZE];
	int i, j, r;

	if (nr > CDP_MARK_VOLUMES)
		return fail(EXIT_USAGE,
			    "a mark names at most %d volumes, not %d; leave them out to mark all",
			    CDP_MARK_VOLUMES, nr);
	for (i = 0; i < nr; i++) {
		r = parse_name(name, "a volume", words[i]);
		if (r)
			return r;
		for (j = 0; j < i; j++)
			if (!strcmp(words[i], words[j]))
				return usage_error("volume '%s' is named twice", words[i]);
	}
	return 0;
}

static int fail_mark(int error, const char *pool, const char *mark)
{
	if (error == -EEXIST)
		return fail(EXIT_EXISTS,
			    "pool '%s' has a mark '%s' already; 'cdp-tool unmark %s %s' forgets it",
			    pool, mark, pool, mark);
	if (error == -ENOENT)
		return fail(EXIT_NOT_FOUND, "mark '%s': pool '%s' lacks one of these volumes", mark,
			    pool);
	return fail_errno(error, "mark '%s'", mark);
}

static int mark(const char *pool, const char *name, const char *volumes)
{
	char text[CDP_TIME_TEXT];
	json_object *result;
	u64 time;
	int r;

	r = cdp_pool_mark(pool, name, volumes, &time);
	if (r)
		return fail_mark(r, pool, name);
	cdp_time_format(text, time);
	say("marked %s as %s\n", text, name);
	result = json_object_new_object();
	json_add_text(result, "pool", pool);
	json_add_text(result, "mark", name);
	json_add_time(result, "time", time);
	return done(result);
}

int mark_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	char name[CDP_NAME_SIZE], *volumes;
	struct cdp_device pool;
	struct cdp_path path;
	int r, nr;

	r = options_parse(argc, argv, specs, 2, -1, &nr);
	if (!r)
		r = parse_pool(&path, argv[0]);
	if (!r)
		r = parse_name(name, "a mark", argv[1]);
	if (!r)
		r = check_volumes(argv + 2, nr - 2);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	cdp_device_exit(&pool);
	volumes = join(argv + 2, nr - 2);
	if (!volumes)
		return fail_errno(-ENOMEM, "mark '%s'", name);
	r = mark(path.pool, name, volumes);
	free(volumes);
	return r;
}
