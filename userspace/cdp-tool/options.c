// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include <ctype.h>
#include <string.h>

static bool common_option(const char *word)
{
	if (!strcmp(word, "--json"))
		tool.json = true;
	else if (!strcmp(word, "--quiet") || !strcmp(word, "-q"))
		tool.quiet = true;
	else
		return false;
	return true;
}

static bool is_option(const char *word)
{
	return word[0] == '-' && word[1] && !isdigit((unsigned char)word[1]);
}

static const struct option_spec *find_option(const struct option_spec *spec, const char *name,
					     size_t len)
{
	for (; spec->name; spec++)
		if (strlen(spec->name) == len && !strncmp(spec->name, name, len))
			return spec;
	return NULL;
}

static int take_flag(const struct option_spec *spec, const char *equals)
{
	if (equals) {
		usage_error("option '--%s' takes no value", spec->name);
		return -1;
	}
	*spec->flag = true;
	return 1;
}

/* next: the word behind, or NULL. */
static int take_value(const struct option_spec *spec, const char *equals, const char *next)
{
	if (!equals && !next) {
		usage_error("option '--%s' needs a value", spec->name);
		return -1;
	}
	*spec->value = equals ? equals + 1 : next;
	return equals ? 1 : 2;
}

/* Takes the option at argv[i]; argv ends with NULL. returns how many words it used, or -1. */
static int take_option(char **argv, int i, const struct option_spec *specs)
{
	const char *word = argv[i], *equals = strchr(word, '=');
	size_t len = equals ? (size_t)(equals - word) : strlen(word);
	const struct option_spec *spec = NULL;

	if (common_option(word))
		return 1;
	if (len > 2 && word[1] == '-')
		spec = find_option(specs, word + 2, len - 2);
	if (!spec) {
		usage_error("unknown option '%s'", word);
		return -1;
	}
	if (spec->flag ? *spec->flag : !!*spec->value) {
		usage_error("option '--%s' is given twice", spec->name);
		return -1;
	}
	return spec->flag ? take_flag(spec, equals) : take_value(spec, equals, argv[i + 1]);
}

/* The word that the verb wants behind the first nr: its usage begins with those. */
static int missing_word(int nr)
{
	const char *p = tool.verb ? tool.verb->arguments : "";
	size_t len;

	for (;; p += len) {
		p += strspn(p, " ");
		len = strcspn(p, " ");
		if (!nr-- || !len)
			break;
	}
	if (!len || *p == '[' || *p == '-')
		return usage_error("a word is missing");
	return usage_error("%.*s is missing", (int)len, p);
}

int options_parse(int argc, char **argv, const struct option_spec *specs, int min, int max,
		  int *nr_words)
{
	int i = 1, used, nr = 0;
	bool more = true;

	while (i < argc) {
		if (more && !strcmp(argv[i], "--")) {
			more = false;
			i++;
		} else if (more && is_option(argv[i])) {
			used = take_option(argv, i, specs);
			if (used < 0)
				return EXIT_USAGE;
			i += used;
		} else {
			argv[nr++] = argv[i++];
		}
	}
	*nr_words = nr;
	if (nr < min)
		return missing_word(nr);
	if (max >= 0 && nr > max)
		return usage_error("'%s' is one word too many", argv[max]);
	return 0;
}
