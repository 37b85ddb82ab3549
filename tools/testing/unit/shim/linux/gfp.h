/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef SHIM_LINUX_GFP_H
#define SHIM_LINUX_GFP_H

typedef unsigned int gfp_t;

#define GFP_KERNEL 0
#define GFP_NOIO 0
#define __GFP_NOFAIL 0

#endif
