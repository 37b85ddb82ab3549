// SPDX-License-Identifier: GPL-2.0-only
#include "reply.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lineage.h"
#include "record.h"

/* The next word; its length, 0 at the end of the line. */
static size_t next_word(const char **p, const char **word)
{
	*p += strspn(*p, " \t");
	*word = *p;
	*p += strcspn(*p, " \t\n");
	return *p - *word;
}

static bool get_word(const char **p, char *buf, size_t size)
{
	const char *word;
	size_t len = next_word(p, &word);

	if (!len || len >= size)
		return false;
	memset(buf, 0, size);
	memcpy(buf, word, len);
	return true;
}

static bool get_name(const char **p, char name[CDP_NAME_SIZE])
{
	return get_word(p, name, CDP_NAME_SIZE) && cdp_name_valid(name);
}

/* Decimal digits up to the end of word. */
static bool to_number(const char *word, size_t len, u64 *value)
{
	u64 v = 0;

	if (!len)
		return false;
	for (; len; word++, len--) {
		if (*word < '0' || *word > '9' || v > (~0ULL - 9) / 10)
			return false;
		v = v * 10 + *word - '0';
	}
	*value = v;
	return true;
}

static bool get_number(const char **p, u64 *value)
{
	const char *word;
	size_t len = next_word(p, &word);

	return to_number(word, len, value);
}

static bool get_u32(const char **p, u32 *value)
{
	u64 v;

	if (!get_number(p, &v) || v > ~0U)
		return false;
	*value = v;
	return true;
}

/* A number, or - for none. */
static bool get_optional(const char **p, u64 *value, u64 none)
{
	const char *word;
	size_t len = next_word(p, &word);

	if (len == 1 && *word == '-') {
		*value = none;
		return true;
	}
	return to_number(word, len, value);
}

/* <a><separator><b> */
static bool get_pair(const char **p, char separator, u64 *a, u64 *b)
{
	const char *word, *mid;
	size_t len = next_word(p, &word);

	mid = memchr(word, separator, len);
	return mid && to_number(word, mid - word, a) &&
	       to_number(mid + 1, word + len - mid - 1, b);
}

static bool get_device(const char **p, u32 *major, u32 *minor)
{
	u64 a, b;

	if (!get_pair(p, ':', &a, &b) || a > ~0U || b > ~0U)
		return false;
	*major = a;
	*minor = b;
	return true;
}

char *cdp_reply_line(const char **text)
{
	char *line;
	size_t len;

	if (!*text)
		return NULL;
	*text += strspn(*text, "\n");
	len = strcspn(*text, "\n");
	if (!len)
		return NULL;
	line = strndup(*text, len);
	*text += len;
	return line;
}

int cdp_reply_volume(struct cdp_volume_line *v, const char *line)
{
	return get_u32(&line, &v->id) && get_name(&line, v->name) &&
	       get_number(&line, &v->sectors) && get_number(&line, &v->created) &&
	       get_u32(&line, &v->branches) ? 0 : -EPROTO;
}

int cdp_reply_mark(struct cdp_mark_line *m, const char *line)
{
	if (!get_number(&line, &m->time) || !get_name(&line, m->name))
		return -EPROTO;
	/* None: all of its volumes are deleted. */
	m->volumes_len = next_word(&line, &m->volumes);
	return 0;
}

int cdp_reply_branch(struct cdp_branch_line *b, const char *line)
{
	return get_u32(&line, &b->branch) && get_number(&line, &b->start) &&
	       get_optional(&line, &b->end, CDP_TIME_NOW) &&
	       get_optional(&line, &b->revert_to, 0) ? 0 : -EPROTO;
}

int cdp_reply_times(const char *text, u64 *first, u64 *second)
{
	*second = 0;
	if (!text || !get_number(&text, first))
		return -EPROTO;
	text += strspn(text, " \t\n");
	return !*text || get_number(&text, second) ? 0 : -EPROTO;
}

int cdp_status_pool(struct cdp_pool_status *s, const char *line)
{
	memset(s, 0, sizeof(*s));
	if (!get_word(&line, s->mode, sizeof(s->mode)))
		return -EPROTO;
	line += strspn(line, " \t\n");
	if (!*line)
		return strcasecmp(s->mode, "fail") ? -EPROTO : 0;
	return get_number(&line, &s->time) &&
	       get_pair(&line, '/', &s->data_used, &s->data_total) &&
	       get_pair(&line, '/', &s->metadata_used, &s->metadata_total) &&
	       get_pair(&line, '/', &s->journal_used, &s->journal_total) &&
	       get_number(&line, &s->tail) && get_number(&line, &s->volumes) &&
	       get_number(&line, &s->marks) && get_number(&line, &s->checkpoints) ? 0 : -EPROTO;
}

int cdp_status_volume(struct cdp_volume_status *s, const char *line)
{
	return get_u32(&line, &s->id) && get_number(&line, &s->sectors) &&
	       get_u32(&line, &s->branches) && get_number(&line, &s->branch_start) ? 0 : -EPROTO;
}

int cdp_status_view(struct cdp_view_status *s, const char *line)
{
	return get_u32(&line, &s->id) && get_number(&line, &s->sectors) &&
	       get_number(&line, &s->instant) ? 0 : -EPROTO;
}

int cdp_table_volume(struct cdp_volume_table *t, const char *params)
{
	if (!get_device(&params, &t->major, &t->minor) || !get_name(&params, t->volume))
		return -EPROTO;
	if (!get_word(&params, t->instant, sizeof(t->instant)))
		t->instant[0] = '\0';
	return 0;
}

int cdp_table_pool(struct cdp_pool_table *t, const char *params)
{
	return get_device(&params, &t->metadata_major, &t->metadata_minor) &&
	       get_device(&params, &t->data_major, &t->data_minor) &&
	       get_u32(&params, &t->block_sectors) ? 0 : -EPROTO;
}

bool cdp_mark_has(const struct cdp_mark_line *m, const struct cdp_volume_line *v)
{
	const char *p = m->volumes, *end = p + m->volumes_len, *comma;
	size_t len = strlen(v->name);

	if (m->volumes_len == 1 && *p == '*')
		return v->created < m->time;
	for (; p < end; p = comma + 1) {
		comma = memchr(p, ',', end - p);
		if (!comma)
			comma = end;
		if ((size_t)(comma - p) == len && !memcmp(p, v->name, len))
			return true;
	}
	return false;
}
