// SPDX-License-Identifier: GPL-2.0-only
#include "mountinfo.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "devnode.h"

/* \040 and the like, as /proc writes blanks. */
static void unescape(char *text)
{
	char *to = text;

	for (; *text; to++) {
		if (text[0] == '\\' && isdigit((unsigned char)text[1]) &&
		    isdigit((unsigned char)text[2]) && isdigit((unsigned char)text[3])) {
			*to = (text[1] - '0') * 64 + (text[2] - '0') * 8 + text[3] - '0';
			text += 4;
		} else {
			*to = *text++;
		}
	}
	*to = '\0';
}

/* The next word of *line, ended there. */
static char *next_word(char **line)
{
	char *word = strsep(line, " ");

	if (word)
		unescape(word);
	return word;
}

/*
 * <id> <parent> <major>:<minor> <root> <directory> <options> [<field>...] - <type> <source> ...
 */
static bool parse(struct mountpoint *m, char *line)
{
	char *rest = strstr(line, " - ");
	int skipped = 0;

	if (!rest || sscanf(line, "%*d %*d %u:%u %*s%n", &m->major, &m->minor, &skipped) != 2 ||
	    !skipped || line + skipped >= rest)
		return false;
	line += skipped + 1;
	m->directory = next_word(&line);
	rest += strlen(" - ");
	m->type = next_word(&rest);
	m->source = next_word(&rest);
	return m->directory && m->type && m->source;
}

void mountinfo_visit(bool (*visit)(void *context, const struct mountpoint *m), void *context)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	struct mountpoint m;
	char *line = NULL;
	bool end = false;
	size_t size = 0;

	if (!f)
		return;
	while (!end && getline(&line, &size, f) > 0) {
		line[strcspn(line, "\n")] = '\0';
		end = parse(&m, line) && visit(context, &m);
	}
	free(line);
	fclose(f);
}

bool mountpoint_on(const struct mountpoint *m, u32 major, u32 minor)
{
	return (m->major == major && m->minor == minor) ||
	       (*m->source == '/' && devnode_is(m->source, major, minor));
}
