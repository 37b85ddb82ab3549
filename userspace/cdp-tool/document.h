/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A JSON object that is printed while it is made: for results that may be long, and that an
 * error may cut short.  With it open, fail() adds to it what it would have printed, so that there
 * is one document whatever happens.
 *
 * One at a time; silent without --json.  What is handed over is freed here.
 */
#ifndef CDP_TOOL_DOCUMENT_H
#define CDP_TOOL_DOCUMENT_H

#include <json-c/json.h>
#include <stdbool.h>

void document_begin(void);
void document_end(void);
bool document_is_open(void);

void document_add(const char *key, json_object *value);

/* Begins a list, which takes items until the next key. */
void document_list(const char *key);
void document_item(json_object *value);

#endif
