// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include <ctype.h>
#include <errno.h>
#include <linux/array_size.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "instant.h"

struct tool tool;

/*
 * Options
 */
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

/* Takes the option at argv[i]; returns how many words it used, or -1. */
static int take_option(char **argv, int i, int argc, const struct option_spec *specs)
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
	if (spec->flag && !equals) {
		*spec->flag = true;
		return 1;
	}
	if (spec->flag) {
		usage_error("option '--%s' takes no value", spec->name);
		return -1;
	}
	if (equals) {
		*spec->value = equals + 1;
		return 1;
	}
	if (i + 1 == argc) {
		usage_error("option '%s' needs a value", word);
		return -1;
	}
	*spec->value = argv[i + 1];
	return 2;
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
			used = take_option(argv, i, argc, specs);
			if (used < 0)
				return EXIT_USAGE;
			i += used;
		} else {
			argv[nr++] = argv[i++];
		}
	}
	*nr_words = nr;
	if (nr < min)
		return usage_error("something is missing");
	if (max >= 0 && nr > max)
		return usage_error("'%s' is one word too many", argv[max]);
	return 0;
}

/*
 * Output
 */
static void json_print(json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void complain(enum exit_code code, const char *message)
{
	json_object *object;

	fflush(stdout);
	fprintf(stderr, "cdp-tool: %s\n", message);
	if (document_is_open()) {
		document_add("error", json_object_new_string(message));
		document_add("exit_code", json_object_new_int(code));
		return;
	}
	if (!tool.json)
		return;
	object = json_object_new_object();
	json_add_text(object, "error", message);
	json_add_number(object, "exit_code", code);
	json_print(object);
	json_object_put(object);
}

static char *format_message(const char *format, va_list args)
{
	char *message;

	return vasprintf(&message, format, args) < 0 ? NULL : message;
}

int fail(enum exit_code code, const char *format, ...)
{
	char *message;
	va_list args;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	complain(code, message ? message : format);
	free(message);
	return code;
}

static const struct reason {
	int error;
	enum exit_code code;
	const char *words;
} reasons[] = {
	{ EPERM, EXIT_NOT_PERMITTED, "not permitted; cdp-tool needs root" },
	{ EACCES, EXIT_NOT_PERMITTED, "not permitted; cdp-tool needs root" },
	{ ENOENT, EXIT_NOT_FOUND, "there is no such thing" },
	{ ENODEV, EXIT_NOT_FOUND, "there is no such device" },
	{ ENXIO, EXIT_NOT_FOUND, "there is no such device" },
	{ EBUSY, EXIT_BUSY, "it is in use" },
	{ EEXIST, EXIT_EXISTS, "there is one already" },
	{ ENOSPC, EXIT_NO_SPACE, "no space left" },
	{ EOPNOTSUPP, EXIT_NO_MODULE, "there is no device mapper; 'modprobe dm-mod' loads it" },
	{ EROFS, EXIT_FAILED, "the pool is read-only; 'dmesg' tells why" },
	{ EIO, EXIT_FAILED, "I/O error, or the pool has failed; 'dmesg' tells more" },
	{ EINVAL, EXIT_FAILED, "the kernel refused it; 'dmesg' tells why" },
	{ EPROTO, EXIT_FAILED, "the kernel module speaks another version than this tool" },
	{ EILSEQ, EXIT_FAILED, "damaged metadata; close the pool and run 'cdp-tool check'" },
};

static const struct reason *find_reason(int error)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(reasons); i++)
		if (reasons[i].error == -error)
			return &reasons[i];
	return NULL;
}

int fail_errno(int error, const char *format, ...)
{
	const struct reason *reason = find_reason(error);
	char *message;
	va_list args;
	int code;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	code = fail(reason ? reason->code : EXIT_FAILED, "%s: %s", message ? message : format,
		    reason ? reason->words : strerror(-error));
	free(message);
	return code;
}

int usage_error(const char *format, ...)
{
	const struct verb *v = tool.verb;
	char *message;
	va_list args;

	va_start(args, format);
	message = format_message(format, args);
	va_end(args);
	complain(EXIT_USAGE, message ? message : format);
	free(message);
	if (v)
		fprintf(stderr, "Usage: cdp-tool %s%s%s%s%s\n", v->noun ? v->noun : "",
			v->noun ? " " : "", v->name, *v->arguments ? " " : "", v->arguments);
	return EXIT_USAGE;
}

void say(const char *format, ...)
{
	va_list args;

	if (tool.quiet || tool.json)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

void print(const char *format, ...)
{
	va_list args;

	if (tool.json)
		return;
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

int done(json_object *result)
{
	if (tool.json)
		json_print(result);
	json_object_put(result);
	return EXIT_OK;
}

void json_add(json_object *object, const char *key, json_object *value)
{
	json_object_object_add(object, key, value);
}

void json_add_text(json_object *object, const char *key, const char *text)
{
	json_add(object, key, json_object_new_string(text));
}

void json_add_number(json_object *object, const char *key, unsigned long long number)
{
	json_add(object, key, json_object_new_uint64(number));
}

void json_add_bool(json_object *object, const char *key, bool value)
{
	json_add(object, key, json_object_new_boolean(value));
}

void json_add_time(json_object *object, const char *key, unsigned long long us)
{
	char utc[CDP_TIME_TEXT], name[64];

	json_add_number(object, key, us);
	cdp_time_format_utc(utc, us);
	snprintf(name, sizeof(name), "%s_utc", key);
	json_add_text(object, name, utc);
}
