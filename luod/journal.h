/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef LUOD_JOURNAL_H
#define LUOD_JOURNAL_H

#include <json-c/json.h>

void journal_write(struct json_object *sessions);
void journal_drop(void);
struct json_object *journal_lost(void);

#endif
