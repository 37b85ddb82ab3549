/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What every test includes first, in the order that cmocka wants.
 */
#ifndef UNIT_TEST_H
#define UNIT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#include "random.h"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#endif
