// SPDX-License-Identifier: GPL-2.0-only
#include "document.h"

#include <stdio.h>

#include "tool.h"

enum { FORMAT = JSON_C_TO_STRING_SPACED | JSON_C_TO_STRING_NOSLASHESCAPE };

static struct document {
	bool open, in_list;
	unsigned int nr_keys;
	unsigned long long nr_items;
} document;

bool document_is_open(void)
{
	return document.open;
}

void document_begin(void)
{
	document = (struct document){ .open = tool.json };
	if (document.open)
		fputs("{", stdout);
}

static void end_list(void)
{
	if (document.in_list)
		fputs(document.nr_items ? "\n  ]" : "]", stdout);
	document.in_list = false;
}

/* As deep as it stands in the document. */
static void print_value(json_object *value)
{
	const char *p = json_object_to_json_string_ext(value, FORMAT | JSON_C_TO_STRING_PRETTY);

	for (; *p; p++) {
		putchar(*p);
		if (*p == '\n')
			fputs("  ", stdout);
	}
}

static void print_key(const char *key)
{
	end_list();
	printf("%s\n  \"%s\": ", document.nr_keys++ ? "," : "", key);
}

void document_add(const char *key, json_object *value)
{
	if (document.open) {
		print_key(key);
		print_value(value);
	}
	json_object_put(value);
}

void document_list(const char *key)
{
	if (!document.open)
		return;
	print_key(key);
	fputs("[", stdout);
	document.in_list = true;
	document.nr_items = 0;
}

void document_item(json_object *value)
{
	if (document.in_list)
		printf("%s\n    %s", document.nr_items++ ? "," : "",
		       json_object_to_json_string_ext(value, FORMAT));
	json_object_put(value);
}

void document_end(void)
{
	if (!document.open)
		return;
	end_list();
	puts("\n}");
	document.open = false;
}
