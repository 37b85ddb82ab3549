// SPDX-License-Identifier: GPL-2.0-only
#include "names.h"

#include <errno.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

bool names_have(const struct names *names, const char *name)
{
	return tfind(name, &names->root, compare);
}

int names_add(struct names *names, const char *name)
{
	char *copy;

	if (names_have(names, name))
		return -EEXIST;
	copy = strdup(name);
	if (copy && tsearch(copy, &names->root, compare))
		return 0;
	free(copy);
	return -ENOMEM;
}

void names_remove(struct names *names, const char *name)
{
	char **found = tfind(name, &names->root, compare), *copy;

	if (!found)
		return;
	copy = *found;
	tdelete(name, &names->root, compare);
	free(copy);
}

void names_exit(struct names *names)
{
	tdestroy(names->root, free);
	names->root = NULL;
}
