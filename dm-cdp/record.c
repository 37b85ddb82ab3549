// SPDX-License-Identifier: GPL-2.0-only
#include "record.h"

#include <linux/crc32c.h>
#include <linux/errno.h>
#include <linux/string.h>
#include <asm/byteorder.h>

static bool name_char(char c, bool first)
{
	if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
		return true;
	return !first && c && strchr("._+:-", c);
}

bool cdp_name_valid(const char *name)
{
	unsigned int i;

	for (i = 0; i < CDP_NAME_SIZE && name[i]; i++)
		if (!name_char(name[i], !i))
			return false;
	return i && i < CDP_NAME_SIZE;
}

/*
 * Packing
 */
static unsigned int pack_create(struct cdp_create_record_disk *d, const struct cdp_record *r)
{
	d->volume = cpu_to_le32(r->volume);
	d->time = cpu_to_le64(r->time);
	d->nr_sectors = cpu_to_le64(r->nr_sectors);
	memcpy(d->name, r->name, sizeof(d->name));
	return sizeof(*d);
}

static unsigned int pack_delete(struct cdp_delete_record_disk *d, const struct cdp_record *r)
{
	d->volume = cpu_to_le32(r->volume);
	d->time = cpu_to_le64(r->time);
	return sizeof(*d);
}

static unsigned int pack_revert(struct cdp_revert_record_disk *d, const struct cdp_record *r)
{
	d->volume = cpu_to_le32(r->volume);
	d->time = cpu_to_le64(r->time);
	d->revert_to = cpu_to_le64(r->revert_to);
	return sizeof(*d);
}

static unsigned int mark_len(unsigned int nr_volumes)
{
	return sizeof(struct cdp_mark_record_disk) + (nr_volumes + 1) / 2 * 8;
}

static unsigned int pack_mark(struct cdp_mark_record_disk *d, const struct cdp_record *r)
{
	unsigned int i;

	d->nr_volumes = cpu_to_le32(r->nr_volumes);
	d->time = cpu_to_le64(r->time);
	memcpy(d->name, r->name, sizeof(d->name));
	for (i = 0; i < r->nr_volumes; i++)
		d->volumes[i] = cpu_to_le32(r->volumes[i]);
	return mark_len(r->nr_volumes);
}

static unsigned int pack_unmark(struct cdp_unmark_record_disk *d, const struct cdp_record *r)
{
	d->time = cpu_to_le64(r->time);
	return sizeof(*d);
}

void cdp_write_record_pack(struct cdp_write_record_disk *d, const struct cdp_version *v,
			   u32 csum)
{
	d->head.type = CDP_REC_WRITE;
	d->head.flags = v->flags;
	d->head.len = cpu_to_le16(sizeof(*d));
	d->csum = cpu_to_le32(csum);
	d->hi = cpu_to_le64(v->hi);
	d->time = cpu_to_le64(v->time);
	d->pblock = cpu_to_le64(v->pblock);
}

unsigned int cdp_record_pack(void *buf, const struct cdp_record *r)
{
	struct cdp_record_disk *head = buf;
	unsigned int len = 0;

	memset(buf, 0, CDP_RECORD_MAX);
	switch (r->type) {
	case CDP_REC_CREATE:
		len = pack_create(buf, r);
		break;
	case CDP_REC_DELETE:
		len = pack_delete(buf, r);
		break;
	case CDP_REC_REVERT:
		len = pack_revert(buf, r);
		break;
	case CDP_REC_MARK:
		len = pack_mark(buf, r);
		break;
	case CDP_REC_UNMARK:
		len = pack_unmark(buf, r);
		break;
	}
	head->type = r->type;
	head->flags = r->flags;
	head->len = cpu_to_le16(len);
	return len;
}

/*
 * Blocks
 */
static __le32 journal_csum(const void *block)
{
	return cpu_to_le32(crc32c(~0, (const u8 *)block + sizeof(__le32),
				  CDP_UNIT_SIZE - sizeof(__le32)));
}

void cdp_journal_init(void *block, const u8 uuid[16], const struct cdp_journal_header *header)
{
	struct cdp_journal_disk *d = block;

	memset(block, 0, CDP_UNIT_SIZE);
	d->version = cpu_to_le32(CDP_FORMAT_VERSION);
	d->magic = cpu_to_le64(CDP_JOURNAL_MAGIC);
	memcpy(d->uuid, uuid, sizeof(d->uuid));
	d->seq = cpu_to_le64(header->seq);
	d->commit_seq = cpu_to_le64(header->commit_seq);
	d->durable_seq = cpu_to_le64(header->durable_seq);
}

void *cdp_journal_append(void *block, unsigned int len)
{
	struct cdp_journal_disk *d = block;
	unsigned int used = le16_to_cpu(d->used);

	if (used + len > CDP_JOURNAL_ROOM)
		return NULL;
	d->used = cpu_to_le16(used + len);
	return (u8 *)block + sizeof(*d) + used;
}

void cdp_journal_seal(void *block)
{
	struct cdp_journal_disk *d = block;

	d->csum = journal_csum(block);
}

const char *cdp_journal_open(struct cdp_journal_header *header, const void *block,
			     const u8 uuid[16], u64 seq)
{
	const struct cdp_journal_disk *d = block;

	if (le64_to_cpu(d->magic) != CDP_JOURNAL_MAGIC)
		return "not a journal block";
	if (memcmp(d->uuid, uuid, sizeof(d->uuid)))
		return "of another pool";
	if (le64_to_cpu(d->seq) != seq)
		return "not the next one in sequence";
	if (d->csum != journal_csum(block))
		return "checksum does not match";
	if (le32_to_cpu(d->version) != CDP_FORMAT_VERSION)
		return "format version is not supported";

	header->seq = seq;
	header->commit_seq = le64_to_cpu(d->commit_seq);
	header->durable_seq = le64_to_cpu(d->durable_seq);
	header->used = le16_to_cpu(d->used);
	if (header->used > CDP_JOURNAL_ROOM || header->commit_seq > seq ||
	    header->durable_seq >= header->commit_seq)
		return "header is out of range";
	return NULL;
}

/*
 * Unpacking
 */
static bool write_valid(const struct cdp_record *r)
{
	u64 lba = cdp_hi_lba(r->hi), blocks = cdp_hi_blocks(r->hi);

	if (lba & (blocks - 1))
		return false;
	if (r->flags & CDP_TOMBSTONE)
		return r->flags == CDP_TOMBSTONE && !r->pblock;
	return !(r->flags & ~CDP_CHECKED) && !(r->pblock >> CDP_PBLOCK_BITS) &&
	       cdp_hi_level(r->hi) <= CDP_MAX_WRITE_LEVEL;
}

static bool unpack_write(struct cdp_record *r, const void *buf, unsigned int len)
{
	const struct cdp_write_record_disk *d = buf;

	if (len != sizeof(*d))
		return false;
	r->csum = le32_to_cpu(d->csum);
	r->hi = le64_to_cpu(d->hi);
	r->volume = cdp_hi_volume(r->hi);
	r->time = le64_to_cpu(d->time);
	r->pblock = le64_to_cpu(d->pblock);
	return write_valid(r);
}

static bool unpack_create(struct cdp_record *r, const void *buf, unsigned int len)
{
	const struct cdp_create_record_disk *d = buf;

	if (len != sizeof(*d))
		return false;
	r->volume = le32_to_cpu(d->volume);
	r->time = le64_to_cpu(d->time);
	r->nr_sectors = le64_to_cpu(d->nr_sectors);
	memcpy(r->name, d->name, sizeof(r->name));
	return cdp_name_valid(r->name) && r->nr_sectors;
}

static bool unpack_delete(struct cdp_record *r, const void *buf, unsigned int len)
{
	const struct cdp_delete_record_disk *d = buf;

	if (len != sizeof(*d))
		return false;
	r->volume = le32_to_cpu(d->volume);
	r->time = le64_to_cpu(d->time);
	return true;
}

static bool unpack_revert(struct cdp_record *r, const void *buf, unsigned int len)
{
	const struct cdp_revert_record_disk *d = buf;

	if (len != sizeof(*d))
		return false;
	r->volume = le32_to_cpu(d->volume);
	r->time = le64_to_cpu(d->time);
	r->revert_to = le64_to_cpu(d->revert_to);
	return r->revert_to < r->time;
}

static bool unpack_mark(struct cdp_record *r, const void *buf, unsigned int len)
{
	const struct cdp_mark_record_disk *d = buf;
	unsigned int i;

	if (len < sizeof(*d))
		return false;
	r->nr_volumes = le32_to_cpu(d->nr_volumes);
	if (r->nr_volumes > CDP_MARK_VOLUMES || len != mark_len(r->nr_volumes))
		return false;
	r->time = le64_to_cpu(d->time);
	memcpy(r->name, d->name, sizeof(r->name));
	for (i = 0; i < r->nr_volumes; i++)
		r->volumes[i] = le32_to_cpu(d->volumes[i]);
	return cdp_name_valid(r->name);
}

static bool unpack_unmark(struct cdp_record *r, const void *buf, unsigned int len)
{
	const struct cdp_unmark_record_disk *d = buf;

	if (len != sizeof(*d))
		return false;
	r->time = le64_to_cpu(d->time);
	return true;
}

static bool unpack(struct cdp_record *r, const void *buf, unsigned int len)
{
	switch (r->type) {
	case CDP_REC_WRITE:
		return unpack_write(r, buf, len);
	case CDP_REC_CREATE:
		return unpack_create(r, buf, len);
	case CDP_REC_DELETE:
		return unpack_delete(r, buf, len);
	case CDP_REC_REVERT:
		return unpack_revert(r, buf, len);
	case CDP_REC_MARK:
		return unpack_mark(r, buf, len);
	case CDP_REC_UNMARK:
		return unpack_unmark(r, buf, len);
	}
	return false;
}

int cdp_record_next(struct cdp_record *record, const void *block,
		    const struct cdp_journal_header *header, unsigned int *offset)
{
	const u8 *records = (const u8 *)block + sizeof(struct cdp_journal_disk);
	const struct cdp_record_disk *head = (const void *)(records + *offset);
	unsigned int left = header->used - *offset, len;

	if (!left)
		return 0;
	if (left < sizeof(*head))
		return -EINVAL;
	len = le16_to_cpu(head->len);
	if (len < sizeof(*head) || len > left || len % 8)
		return -EINVAL;

	memset(record, 0, sizeof(*record));
	record->type = head->type;
	record->flags = head->flags;
	if (!unpack(record, head, len))
		return -EINVAL;
	if (!record->time || record->time >> CDP_TIME_BITS)
		return -EINVAL;
	*offset += len;
	return 1;
}
