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

static int check_names(char **words, int nr)
{
	char name[CDP_NAME_SIZE];
	int i;

	for (i = 0; i < nr; i++)
		if (cdp_name_copy(name, words[i]))
			return usage_error("'%s' is not a name of [A-Za-z0-9._+:-]", words[i]);
	if (nr - 1 > CDP_MARK_VOLUMES)
		return usage_error("a mark names at most %d volumes; leave them out to mark all",
				   CDP_MARK_VOLUMES);
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
	struct cdp_device pool;
	struct cdp_path path;
	char *volumes;
	int r, nr;

	r = options_parse(argc, argv, specs, 2, -1, &nr);
	if (!r)
		r = parse_pool(&path, argv[0]);
	if (!r)
		r = check_names(argv + 1, nr - 1);
	if (!r)
		r = pool_find(&pool, path.pool);
	if (r)
		return r;
	cdp_device_exit(&pool);
	volumes = join(argv + 2, nr - 2);
	if (!volumes)
		return fail_errno(-ENOMEM, "mark '%s'", argv[1]);
	r = mark(path.pool, argv[1], volumes);
	free(volumes);
	return r;
}
