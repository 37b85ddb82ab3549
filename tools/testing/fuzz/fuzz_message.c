// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages to the pool.  What is accepted keeps the rules of its names and numbers, and says
 * the same when it is written down and parsed again.
 */
#include <stdio.h>

#include "fuzz.h"
#include "command.h"
#include "record.h"

enum { WORDS = 100, TEXT = 8192 };

struct message {
	char text[TEXT];
	char *argv[WORDS];
	unsigned int argc;
	struct cdp_command command;
};

static const char * const verbs[CDP_NR_COMMANDS] = {
	[CDP_CMD_CREATE_VOLUME] = "create_volume",
	[CDP_CMD_DELETE_VOLUME] = "delete_volume",
	[CDP_CMD_MARK] = "mark",
	[CDP_CMD_UNMARK] = "unmark",
	[CDP_CMD_REVERT] = "revert",
	[CDP_CMD_RESOLVE] = "resolve",
	[CDP_CMD_LIST_VOLUMES] = "list_volumes",
	[CDP_CMD_LIST_MARKS] = "list_marks",
	[CDP_CMD_LIST_BRANCHES] = "list_branches",
	[CDP_CMD_TIME] = "time",
	[CDP_CMD_CHECKPOINT] = "checkpoint",
};

/* Cuts the text at blanks. */
static const char *parse(struct message *m)
{
	const char *why, *word = NULL;
	char *p = m->text;

	m->argc = 0;
	while (m->argc < WORDS && *(p += strspn(p, " "))) {
		m->argv[m->argc++] = p;
		p += strcspn(p, " ");
		if (*p)
			*p++ = '\0';
	}
	why = cdp_command_parse(&m->command, m->argc, m->argv, &word);
	FUZZ_ASSERT(word);
	FUZZ_ASSERT(!why || *why);
	return why;
}

static void check_volumes(const struct cdp_command *c)
{
	unsigned int i, j;

	FUZZ_ASSERT(c->nr_volumes <= CDP_MARK_VOLUMES && !c->nr_volumes == !c->volumes);
	for (i = 0; i < c->nr_volumes; i++) {
		FUZZ_ASSERT(cdp_name_valid(c->volumes[i]));
		for (j = 0; j < i; j++)
			FUZZ_ASSERT(strcmp(c->volumes[i], c->volumes[j]));
	}
}

static void check(const struct cdp_command *c)
{
	FUZZ_ASSERT(c->verb < CDP_NR_COMMANDS);
	FUZZ_ASSERT(!c->name || cdp_name_valid(c->name));
	FUZZ_ASSERT(!c->when.mark || (cdp_name_valid(c->when.mark) && !c->when.us));
	check_volumes(c);
	switch (c->verb) {
	case CDP_CMD_LIST_VOLUMES:
	case CDP_CMD_LIST_MARKS:
	case CDP_CMD_TIME:
	case CDP_CMD_CHECKPOINT:
		FUZZ_ASSERT(!c->name);
		break;
	default:
		FUZZ_ASSERT(c->name);
	}
}

/* The command as text. */
static void print(struct message *m, const struct cdp_command *c)
{
	char *p = m->text + sprintf(m->text, "%s", verbs[c->verb]);
	unsigned int i;

	if (c->name)
		p += sprintf(p, " %s", c->name);
	if (c->verb == CDP_CMD_CREATE_VOLUME || c->verb == CDP_CMD_LIST_MARKS)
		p += sprintf(p, " %llu", c->number);
	if (c->when.mark)
		p += sprintf(p, " @%s", c->when.mark);
	else if (c->verb == CDP_CMD_REVERT || c->verb == CDP_CMD_RESOLVE)
		p += sprintf(p, " %llu", c->when.us);
	if (c->verb == CDP_CMD_MARK && !c->nr_volumes)
		p += sprintf(p, " *");
	for (i = 0; i < c->nr_volumes; i++)
		p += sprintf(p, " %s", c->volumes[i]);
}

static bool same_word(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool same(const struct cdp_command *a, const struct cdp_command *b)
{
	unsigned int i;

	if (a->nr_volumes != b->nr_volumes)
		return false;
	for (i = 0; i < a->nr_volumes; i++)
		if (strcmp(a->volumes[i], b->volumes[i]))
			return false;
	return a->verb == b->verb && same_word(a->name, b->name) && a->number == b->number &&
	       same_word(a->when.mark, b->when.mark) && a->when.us == b->when.us;
}

static void fuzz(struct message *m)
{
	static struct message again;

	if (parse(m))
		return;
	check(&m->command);
	print(&again, &m->command);
	FUZZ_ASSERT(!parse(&again));
	FUZZ_ASSERT(same(&m->command, &again.command));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct message m;
	size_t len;

	if (!size || size > TEXT / 2)
		return 0;
	memcpy(m.text, data, size);
	m.text[size] = '\0';
	fuzz(&m);

	/* Behind a verb, so that its arguments are met. */
	len = sprintf(m.text, "%s ", verbs[data[0] % CDP_NR_COMMANDS]);
	memcpy(m.text + len, data + 1, size - 1);
	m.text[len + size - 1] = '\0';
	fuzz(&m);
	return 0;
}
