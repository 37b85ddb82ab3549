// SPDX-License-Identifier: GPL-2.0-only
#include "tool.h"

#include <errno.h>
#include <linux/array_size.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "document.h"
#include "instant.h"
#include "progress.h"

struct tool tool;

static void json_print(json_object *object)
{
	puts(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY |
					    JSON_C_TO_STRING_SPACED |
					    JSON_C_TO_STRING_NOSLASHESCAPE));
}

static void complain(enum exit_code code, const char *message)
{
	json_object *object;

	if (!document_is_open())
		fflush(stdout);
	progress_hide();
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
	progress_hide();
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
}

void print(const char *format, ...)
{
	va_list args;

	if (tool.json)
		return;
	progress_hide();
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
