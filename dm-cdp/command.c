// SPDX-License-Identifier: GPL-2.0-only
#include "command.h"
#include "record.h"

#include <linux/string.h>

static const char *parse_name(const char **name, const char *word)
{
	if (!cdp_name_valid(word))
		return "is not a name: 1 to 63 of A-Za-z0-9._+:-, the first one of A-Za-z0-9";
	*name = word;
	return NULL;
}

/* Not kstrtou64(), which takes a sign and a newline. */
static bool parse_digits(u64 *number, const char *word)
{
	u64 n = 0;

	if (!*word)
		return false;
	for (; *word; word++) {
		unsigned int digit = *word - '0';

		if (digit > 9 || n > (~0ULL - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*number = n;
	return true;
}

static const char *parse_number(u64 *number, const char *word)
{
	return parse_digits(number, word) ? NULL :
	       "is not a number: decimal digits, nothing else, less than 2^64";
}

const char *cdp_when_parse(struct cdp_when *when, const char *word)
{
	*when = (struct cdp_when){ };
	if (*word == '@' && cdp_name_valid(word + 1)) {
		when->mark = word + 1;
		return NULL;
	}
	return parse_digits(&when->us, word) ? NULL :
	       "is not an instant: microseconds since 1970 or @<mark>";
}

static bool named_before(char **words, unsigned int i)
{
	unsigned int j;

	for (j = 0; j < i; j++)
		if (!strcmp(words[j], words[i]))
			return true;
	return false;
}

static const char *parse_volumes(struct cdp_command *command, unsigned int nr, char **words,
				 const char **word)
{
	const char *name, *why;
	unsigned int i;

	if (nr == 1 && !strcmp(words[0], "*"))
		return NULL;
	for (i = 0; i < nr; i++) {
		*word = words[i];
		if (i == CDP_MARK_VOLUMES)
			return "is one volume too many: a mark names at most 64; * is all of them";
		why = parse_name(&name, words[i]);
		if (why)
			return why;
		if (named_before(words, i))
			return "is named twice";
	}
	command->nr_volumes = nr;
	command->volumes = words;
	return NULL;
}

/*
 * The grammar.  A message is words; device-mapper has cut them at blanks.
 *
 *   message  = "create_volume" name number
 *            | "delete_volume" name
 *            | "mark" name volumes
 *            | "unmark" name
 *            | "revert" name instant
 *            | "resolve" name instant
 *            | "list_volumes"
 *            | "list_marks" [ number ]
 *            | "list_branches" name
 *            | "time"
 *            | "checkpoint"
 *   volumes  = "*" | 1 to 64 names, no two the same
 *   name     = 1 to 63 of A-Za-z0-9._+:-, the first one of A-Za-z0-9
 *   instant  = number | "@" name
 *   number   = 1 or more of 0-9: less than 2^64
 */
enum argument { NAME = 1, NUMBER, INSTANT, VOLUMES };

static const struct form {
	const char *verb;
	unsigned int min, max;		/* arguments */
	enum argument arguments[2];
} forms[CDP_NR_COMMANDS] = {
	[CDP_CMD_CREATE_VOLUME]	= { "create_volume", 2, 2, { NAME, NUMBER } },
	[CDP_CMD_DELETE_VOLUME]	= { "delete_volume", 1, 1, { NAME } },
	[CDP_CMD_MARK]		= { "mark", 2, ~0U, { NAME, VOLUMES } },
	[CDP_CMD_UNMARK]	= { "unmark", 1, 1, { NAME } },
	[CDP_CMD_REVERT]	= { "revert", 2, 2, { NAME, INSTANT } },
	[CDP_CMD_RESOLVE]	= { "resolve", 2, 2, { NAME, INSTANT } },
	[CDP_CMD_LIST_VOLUMES]	= { "list_volumes", 0, 0, { } },
	[CDP_CMD_LIST_MARKS]	= { "list_marks", 0, 1, { NUMBER } },
	[CDP_CMD_LIST_BRANCHES]	= { "list_branches", 1, 1, { NAME } },
	[CDP_CMD_TIME]		= { "time", 0, 0, { } },
	[CDP_CMD_CHECKPOINT]	= { "checkpoint", 0, 0, { } },
};

/* One argument; volumes are all the words that are left. */
static const char *parse_argument(struct cdp_command *command, enum argument argument,
				  unsigned int nr, char **words, const char **word)
{
	*word = words[0];
	switch (argument) {
	case NAME:
		return parse_name(&command->name, words[0]);
	case NUMBER:
		return parse_number(&command->number, words[0]);
	case INSTANT:
		return cdp_when_parse(&command->when, words[0]);
	case VOLUMES:
		return parse_volumes(command, nr, words, word);
	}
	return "is not expected";
}

static enum cdp_verb find_verb(const char *word)
{
	enum cdp_verb verb = 0;

	while (verb < CDP_NR_COMMANDS && strcmp(word, forms[verb].verb))
		verb++;
	return verb;
}

const char *cdp_command_parse(struct cdp_command *command, unsigned int argc, char **argv,
			      const char **word)
{
	const struct form *form;
	const char *why = NULL;
	unsigned int i;

	*command = (struct cdp_command){ };
	*word = argc ? argv[0] : "";
	command->verb = find_verb(*word);
	if (command->verb == CDP_NR_COMMANDS)
		return "is not a message";
	form = &forms[command->verb];
	argc--;
	argv++;
	if (argc < form->min || argc > form->max)
		return "has the wrong number of arguments";
	for (i = 0; i < argc && i < 2 && !why; i++)
		why = parse_argument(command, form->arguments[i], argc - i, argv + i, word);
	return why;
}
