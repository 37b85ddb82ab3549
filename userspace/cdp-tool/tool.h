/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every verb needs: options, output, exit codes.
 */
#ifndef CDP_TOOL_H
#define CDP_TOOL_H

#include <json-c/json.h>
#include <stdbool.h>

/* Documented in cdp-tool(8); never renumber. */
enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,	/* or check found damage */
	EXIT_USAGE = 2,
	EXIT_NOT_FOUND = 3,
	EXIT_BUSY = 4,
	EXIT_EXISTS = 5,
	EXIT_NO_SPACE = 6,
	EXIT_NOT_PERMITTED = 7,
	EXIT_NO_MODULE = 8,
};

struct verb {
	const char *noun;	/* NULL: the verb stands alone */
	const char *name;
	int (*main)(int argc, char **argv);	/* argv[0] is the verb's name */
	const char *arguments;
	const char *help;
	const char *example;
};

struct tool {
	const struct verb *verb;
	bool json;
	bool quiet;
};

extern struct tool tool;

/*
 * Options (options.c): --name VALUE or --name=VALUE where value is set, --name where flag is.
 * The table ends with a NULL name.  What is left in argv are the other words, which may
 * begin with one dash and a digit: -5min.
 */
struct option_spec {
	const char *name;
	const char **value;
	bool *flag;
};

/*
 * Parses argv, which ends with NULL, in place: 0, or an exit code after telling what is wrong.
 * Needs between min and max words (max < 0: any number); *nr_words is how many there are, argv[0]
 * being the first.  An option stands once at most.
 */
int options_parse(int argc, char **argv, const struct option_spec *specs, int min, int max,
		  int *nr_words);

int usage_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints why (also as JSON) and returns code. */
int fail(enum exit_code code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same for a -errno: ": <in words>" is added, and the exit code is chosen. */
int fail_errno(int error, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Tells a person what was done; silent with --quiet and --json. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints a line of a human report; silent with --json only. */
void print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the result if --json is set, and frees it; returns EXIT_OK. */
int done(json_object *result);

/*
 * JSON, short.  Every add takes over the value.
 */
void json_add(json_object *object, const char *key, json_object *value);
void json_add_text(json_object *object, const char *key, const char *text);
void json_add_number(json_object *object, const char *key, unsigned long long number);
void json_add_bool(json_object *object, const char *key, bool value);

/* "key": microseconds, "key_utc": ISO 8601 */
void json_add_time(json_object *object, const char *key, unsigned long long us);

#endif
