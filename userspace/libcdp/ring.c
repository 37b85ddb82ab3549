// SPDX-License-Identifier: GPL-2.0-only
#include "ring.h"

#include <errno.h>
#include <linux/crc32c.h>
#include <stdlib.h>
#include <string.h>

enum { READ_AHEAD = 64, SECTORS_PER_UNIT = CDP_UNIT_SIZE / 512 };

struct reader {
	struct cdp_ring *ring;
	cdp_visit_record visit;
	void *context;

	u8 *window;		/* nr units of the data device, from first on */
	u64 first;
	unsigned int nr;

	u8 *round;		/* that is held back until the next one begins */
	struct cdp_journal_header headers[CDP_RING_ROUND];
	unsigned int nr_held;
};

u64 cdp_ring_unit(const struct cdp_super *super, u64 seq)
{
	return 1 + seq % super->journal_blocks;
}

static int read_seq(struct reader *r, u64 seq, const u8 **block)
{
	const struct cdp_super *super = r->ring->super;
	u64 unit = cdp_ring_unit(super, seq), left = super->journal_blocks + 1 - unit;
	int error;

	if (unit < r->first || unit >= r->first + r->nr) {
		r->nr = left < READ_AHEAD ? left : READ_AHEAD;
		r->first = unit;
		error = cdp_image_read(r->ring->data, unit, r->nr, r->window);
		if (error) {
			r->ring->bad_seq = seq;
			r->nr = 0;
			return error;
		}
	}
	*block = r->window + (unit - r->first) * CDP_UNIT_SIZE;
	return 0;
}

static const u8 *held_block(const struct reader *r, unsigned int i)
{
	return r->round + i * CDP_UNIT_SIZE;
}

static int apply_block(struct reader *r, unsigned int i)
{
	struct cdp_record record;
	unsigned int offset = 0;
	int error;

	while ((error = cdp_record_next(&record, held_block(r, i), &r->headers[i], &offset)) > 0) {
		r->ring->nr_records++;
		error = r->visit(r->context, r->headers[i].seq, &record);
		if (error)
			return error;
	}
	if (!error)
		return 0;
	r->ring->bad_seq = r->headers[i].seq;
	return -EILSEQ;
}

static int apply_held(struct reader *r, unsigned int nr)
{
	unsigned int i;
	int error = 0;

	for (i = 0; i < nr && !error; i++)
		error = apply_block(r, i);
	r->nr_held = 0;
	return error;
}

/*
 * The last round
 */

/* 1: the record's data are on the device; 0: not; or -errno. */
static int data_match(const struct reader *r, const struct cdp_record *record)
{
	const struct cdp_super *super = r->ring->super;
	u64 nr = cdp_hi_blocks(record->hi), per_block = super->block_sectors / SECTORS_PER_UNIT;
	u64 unit = super->data_start / SECTORS_PER_UNIT + record->pblock * per_block;
	u64 end = unit + nr * per_block;
	u8 buf[CDP_UNIT_SIZE];
	u32 csum = ~0;
	int error;

	if (record->pblock >= super->nr_data_blocks || nr > super->nr_data_blocks - record->pblock)
		return -EILSEQ;
	for (; unit < end; unit++) {
		error = cdp_image_read(r->ring->data, unit, 1, buf);
		if (error)
			return error;
		csum = crc32c(csum, buf, sizeof(buf));
	}
	return csum == record->csum;
}

static int block_matches(const struct reader *r, unsigned int i)
{
	struct cdp_record record;
	unsigned int offset = 0;
	int error;

	while ((error = cdp_record_next(&record, held_block(r, i), &r->headers[i], &offset)) > 0) {
		if (record.type != CDP_REC_WRITE || !(record.flags & CDP_CHECKED))
			continue;
		error = data_match(r, &record);
		if (error <= 0)
			return error;
	}
	return error ? -EILSEQ : 1;
}

static int apply_last(struct reader *r)
{
	unsigned int i, nr = r->nr_held;
	int matches = 1;

	for (i = 0; i < nr; i++) {
		matches = block_matches(r, i);
		if (matches <= 0)
			break;
	}
	if (matches < 0) {
		r->ring->bad_seq = r->headers[i].seq;
		return matches;
	}
	r->ring->nr_cut = nr - i;
	return apply_held(r, i);
}

/*
 * All rounds
 */
static const char *not_next(const struct reader *r, const struct cdp_journal_header *header)
{
	if (header->commit_seq == header->seq)
		return NULL;
	if (!r->nr_held || header->commit_seq != r->headers[0].commit_seq)
		return "of a round that did not begin";
	return r->nr_held == CDP_RING_ROUND ? "of a round that is too long" : NULL;
}

/* Holds the next block: 1, or 0 if replay ends before it, or an error. */
static int next_block(struct reader *r)
{
	struct cdp_ring *ring = r->ring;
	struct cdp_journal_header header;
	const u8 *block;
	int error;

	error = read_seq(r, ring->end, &block);
	if (error)
		return error;
	ring->why = cdp_journal_open(&header, block, ring->super->uuid, ring->end);
	if (!ring->why)
		ring->why = not_next(r, &header);
	if (ring->why)
		return 0;
	if (header.commit_seq == header.seq) {
		error = apply_held(r, r->nr_held);
		if (error)
			return error;
	}
	memcpy(r->round + r->nr_held * CDP_UNIT_SIZE, block, CDP_UNIT_SIZE);
	r->headers[r->nr_held++] = header;
	ring->end++;
	return 1;
}

/* Does a sound block behind the end know that the end was durable? */
static int find_lost(struct reader *r)
{
	struct cdp_ring *ring = r->ring;
	const struct cdp_super *super = ring->super;
	struct cdp_journal_header header;
	const u8 *block;
	int error;
	u64 seq;

	for (seq = ring->end + 1; seq < super->journal_seq + super->journal_blocks; seq++) {
		error = read_seq(r, seq, &block);
		if (error)
			return error;
		if (!cdp_journal_open(&header, block, super->uuid, seq) &&
		    header.durable_seq >= ring->end) {
			ring->lost_by = seq;
			break;
		}
	}
	return 0;
}

static int replay(struct reader *r)
{
	u64 full = r->ring->super->journal_seq + r->ring->super->journal_blocks;
	int more;

	do {
		more = next_block(r);
	} while (more > 0 && r->ring->end < full);
	if (!more)
		more = find_lost(r);
	return more < 0 ? more : apply_last(r);
}

int cdp_ring_replay(struct cdp_ring *ring, cdp_visit_record visit, void *context)
{
	struct reader *r = calloc(1, sizeof(*r));
	int error = -ENOMEM;

	ring->end = ring->super->journal_seq;
	ring->why = NULL;
	ring->lost_by = 0;
	ring->nr_records = 0;
	ring->nr_cut = 0;
	if (!r)
		return error;
	r->ring = ring;
	r->visit = visit;
	r->context = context;
	r->window = malloc(READ_AHEAD * CDP_UNIT_SIZE);
	r->round = malloc(CDP_RING_ROUND * CDP_UNIT_SIZE);
	if (r->window && r->round)
		error = replay(r);
	free(r->window);
	free(r->round);
	free(r);
	return error;
}
