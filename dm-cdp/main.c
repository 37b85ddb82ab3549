// SPDX-License-Identifier: GPL-2.0-only
/*
 * dm-cdp: a block device that remembers every write.
 *
 * Where to begin reading: pool.h (what there is and who runs what), index.h (how a block is
 * found), journal.h (why a flush is cheap), checkpoint.c, io.c.
 */
#include "pool.h"

#include <linux/module.h>

static int __init dm_cdp_init(void)
{
	int r;

	r = cdp_extent_cache_create();
	if (r)
		return r;
	r = dm_register_target(&cdp_pool_target);
	if (r)
		goto err_cache;
	r = dm_register_target(&cdp_volume_target);
	if (r)
		goto err_pool;
	r = dm_register_target(&cdp_view_target);
	if (r)
		goto err_volume;
	return 0;

err_volume:
	dm_unregister_target(&cdp_volume_target);
err_pool:
	dm_unregister_target(&cdp_pool_target);
err_cache:
	cdp_extent_cache_destroy();
	return r;
}

static void __exit dm_cdp_exit(void)
{
	dm_unregister_target(&cdp_view_target);
	dm_unregister_target(&cdp_volume_target);
	dm_unregister_target(&cdp_pool_target);
	cdp_extent_cache_destroy();
}

module_init(dm_cdp_init);
module_exit(dm_cdp_exit);

MODULE_DESCRIPTION(DM_NAME " target that remembers every write");
MODULE_LICENSE("GPL");
/* What device-mapper asks for when a table names a target that it does not know. */
MODULE_ALIAS("dm-cdp-pool");
MODULE_ALIAS("dm-cdp-view");
