// SPDX-License-Identifier: GPL-2.0-only
/*
 * Superblock and label.  What unpacks packs to something that unpacks to the same.
 */
#include "fuzz.h"
#include "super.h"

static void fuzz_super(const void *block)
{
	struct cdp_super super = { 0 }, again = { 0 };
	struct fuzz_block packed;

	if (cdp_super_unpack(&super, block))
		return;
	cdp_super_pack(&packed, &super);
	FUZZ_ASSERT(!cdp_super_unpack(&again, &packed));
	FUZZ_ASSERT(!memcmp(&super, &again, sizeof(super)));
}

static void fuzz_label(const void *block)
{
	struct cdp_label label = { 0 }, again = { 0 };
	struct fuzz_block packed;

	if (cdp_label_unpack(&label, block))
		return;
	cdp_label_pack(&packed, &label);
	FUZZ_ASSERT(!cdp_label_unpack(&again, &packed));
	FUZZ_ASSERT(!memcmp(&label, &again, sizeof(label)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_block block;

	fuzz_fill(&block, data, size);
	fuzz_super(&block);
	fuzz_label(&block);

	fuzz_put64(&block, offsetof(struct cdp_super_disk, magic), CDP_SUPER_MAGIC);
	fuzz_seal(&block, 512, 0);
	fuzz_super(&block);

	fuzz_put64(&block, offsetof(struct cdp_label_disk, magic), CDP_LABEL_MAGIC);
	fuzz_seal(&block, 512, 0);
	fuzz_label(&block);
	return 0;
}
