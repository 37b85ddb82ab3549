// SPDX-License-Identifier: GPL-2.0-only
/*
 * A journal block and the records in it.  What is decoded encodes to the same.
 */
#include "fuzz.h"
#include "record.h"

static const u8 uuid[16] = "fuzzed";

static unsigned int pack(void *buf, const struct cdp_record *r)
{
	const struct cdp_version v = {
		.hi = r->hi, .time = r->time, .pblock = r->pblock, .flags = r->flags,
	};

	if (r->type != CDP_REC_WRITE)
		return cdp_record_pack(buf, r);
	cdp_write_record_pack(buf, &v, r->csum);
	return sizeof(struct cdp_write_record_disk);
}

static void check_same(const struct cdp_record *a, const struct cdp_record *b)
{
	FUZZ_ASSERT(a->type == b->type && a->volume == b->volume && a->time == b->time);
	FUZZ_ASSERT(a->hi == b->hi && a->pblock == b->pblock && a->csum == b->csum);
	FUZZ_ASSERT(a->flags == b->flags && a->nr_sectors == b->nr_sectors);
	FUZZ_ASSERT(a->revert_to == b->revert_to && a->nr_volumes == b->nr_volumes);
	FUZZ_ASSERT(!memcmp(a->volumes, b->volumes, sizeof(b->volumes)));
	FUZZ_ASSERT(!strcmp(a->name, b->name));
}

static void check_record(const struct cdp_record *r)
{
	u8 buf[CDP_RECORD_MAX] __attribute__((aligned(8)));
	struct cdp_journal_header header = { .seq = 8, .commit_seq = 8, .durable_seq = 7 };
	struct cdp_record again;
	struct fuzz_block block;
	unsigned int offset = 0, len = pack(buf, r);
	void *room;

	FUZZ_ASSERT(len && len <= CDP_RECORD_MAX);
	cdp_journal_init(&block, uuid, &header);
	room = cdp_journal_append(&block, len);
	FUZZ_ASSERT(room);
	memcpy(room, buf, len);
	cdp_journal_seal(&block);
	FUZZ_ASSERT(!cdp_journal_open(&header, &block, uuid, 8));
	FUZZ_ASSERT(cdp_record_next(&again, &block, &header, &offset) == 1);
	check_same(&again, r);
	FUZZ_ASSERT(cdp_record_next(&again, &block, &header, &offset) == 0);
}

static void fuzz_records(const struct fuzz_block *block, u64 seq)
{
	struct cdp_journal_header header;
	struct cdp_record record;
	unsigned int offset = 0;

	if (cdp_journal_open(&header, block, uuid, seq))
		return;
	while (cdp_record_next(&record, block, &header, &offset) > 0) {
		FUZZ_ASSERT(offset <= header.used);
		check_record(&record);
	}
}

static unsigned int length_of(u8 type, unsigned int nr_volumes)
{
	switch (type) {
	case CDP_REC_WRITE:
		return sizeof(struct cdp_write_record_disk);
	case CDP_REC_CREATE:
		return sizeof(struct cdp_create_record_disk);
	case CDP_REC_REVERT:
		return sizeof(struct cdp_revert_record_disk);
	case CDP_REC_MARK:
		return sizeof(struct cdp_mark_record_disk) + (nr_volumes + 1) / 2 * 8;
	}
	return sizeof(struct cdp_delete_record_disk);
}

/* A record of the right length with a time; the rest of it as data has it. */
static void put_record(u8 *record, u8 type, unsigned int len, const uint8_t *data, size_t size)
{
	struct cdp_record_disk *head = (void *)record;
	unsigned int time = type == CDP_REC_WRITE ?
			    offsetof(struct cdp_write_record_disk, time) :
			    offsetof(struct cdp_delete_record_disk, time);

	memcpy(record + sizeof(*head), data, size);
	head->type = type;
	head->len = cpu_to_le16(len);
	record[time] |= 1;
	record[time + 7] &= 0x3f;
}

/* A few bytes of input per record: most random bytes are no records. */
static void grow(struct fuzz_block *block, const uint8_t *data, size_t size)
{
	while (size >= 3) {
		u8 type = data[0] % 8, nr_volumes = data[1] % (CDP_MARK_VOLUMES + 2);
		unsigned int len = length_of(type, nr_volumes), body = data[2];
		u8 *record = cdp_journal_append(block, len);

		if (!record)
			return;
		data += 3;
		size -= 3;
		if (body > size)
			body = size;
		if (body > len - sizeof(struct cdp_record_disk))
			body = len - sizeof(struct cdp_record_disk);
		put_record(record, type, len, data, body);
		if (type == CDP_REC_MARK)
			record[offsetof(struct cdp_mark_record_disk, nr_volumes)] = nr_volumes;
		data += body;
		size -= body;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct cdp_journal_header header = { .seq = 9, .commit_seq = 8, .durable_seq = 7 };
	struct fuzz_block block;
	struct cdp_journal_disk *d = (void *)&block;

	fuzz_fill(&block, data, size);
	fuzz_records(&block, le64_to_cpu(d->seq));

	d->version = cpu_to_le32(CDP_FORMAT_VERSION);
	d->magic = cpu_to_le64(CDP_JOURNAL_MAGIC);
	memcpy(d->uuid, uuid, sizeof(d->uuid));
	d->seq = cpu_to_le64(9);
	d->commit_seq = cpu_to_le64(8);
	d->durable_seq = cpu_to_le64(7);
	fuzz_seal(&block, CDP_UNIT_SIZE, 0);
	fuzz_records(&block, 9);

	cdp_journal_init(&block, uuid, &header);
	grow(&block, data, size);
	cdp_journal_seal(&block);
	fuzz_records(&block, 9);
	return 0;
}
