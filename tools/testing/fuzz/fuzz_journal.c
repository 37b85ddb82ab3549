// SPDX-License-Identifier: GPL-2.0-only
/*
 * A journal block and the records in it.  What is decoded encodes to the same.
 */
#include "fuzz.h"
#include "record.h"

static const u8 uuid[16] = "fuzzed";

static void check_record(const struct cdp_record *r)
{
	u8 buf[CDP_RECORD_MAX] __attribute__((aligned(8)));
	struct cdp_journal_header header = { .seq = 8, .commit_seq = 8, .durable_seq = 7 };
	struct cdp_record again;
	struct fuzz_block block;
	unsigned int offset = 0, len;
	void *room;

	if (r->type == CDP_REC_WRITE)
		return;
	len = cdp_record_pack(buf, r);
	FUZZ_ASSERT(len && len <= CDP_RECORD_MAX);
	cdp_journal_init(&block, uuid, &header);
	room = cdp_journal_append(&block, len);
	FUZZ_ASSERT(room);
	memcpy(room, buf, len);
	cdp_journal_seal(&block);
	FUZZ_ASSERT(!cdp_journal_open(&header, &block, uuid, 8));
	FUZZ_ASSERT(cdp_record_next(&again, &block, &header, &offset) == 1);
	FUZZ_ASSERT(again.type == r->type && again.volume == r->volume && again.time == r->time);
	FUZZ_ASSERT(again.revert_to == r->revert_to && again.nr_volumes == r->nr_volumes);
	FUZZ_ASSERT(!memcmp(again.volumes, r->volumes, sizeof(r->volumes)));
	FUZZ_ASSERT(!strcmp(again.name, r->name));
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
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
	return 0;
}
