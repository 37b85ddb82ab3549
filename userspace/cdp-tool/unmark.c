// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>

#include "online.h"
#include "verbs.h"

static int forget(const char *pool, const char *mark)
{
	json_object *result;
	int r;

	r = cdp_pool_unmark(pool, mark);
	if (r == -ENOENT)
		return fail(EXIT_NOT_FOUND,
			    "pool '%s' has no mark '%s'; 'cdp-tool log %s' lists them",
			    pool, mark, pool);
	if (r)
		return fail_errno(r, "unmark '%s'", mark);
	say("mark %s is forgotten\n", mark);
	result = json_object_new_object();
	json_add_text(result, "pool", pool);
	json_add_text(result, "unmarked", mark);
	return done(result);
}

int unmark_main(int argc, char **argv)
{
	const struct option_spec specs[] = { { .name = NULL } };
	char name[CDP_NAME_SIZE];
	struct cdp_device pool;
	struct cdp_path path;
	const char *word;
	int r, nr;

	r = options_parse(argc, argv, specs, 2, 2, &nr);
	if (!r)
		r = parse_pool(&path, argv[0]);
	if (r)
		return r;
	word = argv[1] + (*argv[1] == '@');
	r = parse_name(name, "a mark", word);
	if (r)
		return r;
	r = pool_find(&pool, path.pool);
	if (r)
		return r;
	cdp_device_exit(&pool);
	return forget(path.pool, name);
}
