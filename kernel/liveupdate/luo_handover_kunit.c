// SPDX-License-Identifier: GPL-2.0
/*
 * KUnit tests of the handover page: what is sealed comes out again, and each
 * kind of damage is refused with its own errno.
 */
#include <kunit/test.h>
#include <linux/io.h>
#include <linux/slab.h>

#include "luo_host.h"

#define PAYLOAD_LEN	100

struct handover_test {
	struct luo_host_ser *ser;
	struct list_head subsystems;
	struct liveupdate_subsystem subs[LUO_HOST_MAX_PAYLOADS + 1];
	char names[LUO_HOST_MAX_PAYLOADS + 1][8];
	u8 *data;
};

static const struct liveupdate_subsystem_ops no_ops;

static void seal(struct kunit *test, int payloads)
{
	struct handover_test *t = test->priv;
	int i;

	INIT_LIST_HEAD(&t->subsystems);
	for (i = 0; i < payloads; i++) {
		struct liveupdate_subsystem *sub = &t->subs[i];

		snprintf(t->names[i], sizeof(t->names[i]), "s%d", i);
		sub->name = t->names[i];
		sub->compatible = "test-v1";
		sub->ops = &no_ops;
		KUNIT_ASSERT_EQ(test, luo_subsys_add(&t->subsystems, sub), 0);
		/* normally liveupdate_payload_alloc() does this */
		sub->payload = t->data;
		sub->payload_len = PAYLOAD_LEN;
	}
	KUNIT_ASSERT_EQ(test, luo_handover_seal(t->ser, &t->subsystems), 0);
}

static const struct luo_payload_ser *entry(struct kunit *test)
{
	struct handover_test *t = test->priv;

	return luo_handover_find(t->ser, "s0", "test-v1");
}

static void round_trip(struct kunit *test)
{
	struct handover_test *t = test->priv;
	const struct luo_payload_ser *payload;

	seal(test, LUO_HOST_MAX_PAYLOADS);
	KUNIT_EXPECT_EQ(test, luo_handover_verify(t->ser), 0);
	KUNIT_EXPECT_EQ(test, t->ser->state, LUO_HOST_SER_FROZEN);
	payload = luo_handover_find(t->ser, "s31", "test-v1");
	KUNIT_ASSERT_FALSE(test, IS_ERR(payload));
	KUNIT_EXPECT_EQ(test, payload->len, PAYLOAD_LEN);
	KUNIT_EXPECT_EQ(test, payload->pa, virt_to_phys(t->data));
	KUNIT_EXPECT_EQ(test, luo_handover_check(payload, t->data), 0);
}

static void absent_and_unknown_are_told_apart(struct kunit *test)
{
	struct handover_test *t = test->priv;

	seal(test, 1);
	KUNIT_EXPECT_EQ(test, PTR_ERR(luo_handover_find(t->ser, "s1",
							"test-v1")), -ENOENT);
	KUNIT_EXPECT_EQ(test, PTR_ERR(luo_handover_find(t->ser, "s0",
							"test-v2")),
			-EPROTONOSUPPORT);
}

static void damaged_page_is_refused(struct kunit *test)
{
	struct handover_test *t = test->priv;

	seal(test, 1);
	t->ser->magic ^= 1;
	KUNIT_EXPECT_EQ(test, luo_handover_verify(t->ser), -EBADMSG);
	seal(test, 1);
	t->ser->compatible[strlen("luo-host-v")]++;
	KUNIT_EXPECT_EQ(test, luo_handover_verify(t->ser), -EPROTONOSUPPORT);
	seal(test, 1);
	t->ser->count = LUO_HOST_MAX_PAYLOADS + 1;
	KUNIT_EXPECT_EQ(test, luo_handover_verify(t->ser), -EOVERFLOW);
	seal(test, 1);
	t->ser->crc ^= 1;
	KUNIT_EXPECT_EQ(test, luo_handover_verify(t->ser), -EBADMSG);
}

static void every_flipped_bit_of_the_page_is_noticed(struct kunit *test)
{
	struct handover_test *t = test->priv;
	size_t end = offsetof(struct luo_host_ser, payloads[2]);
	size_t bit;

	seal(test, 2);
	for (bit = 0; bit < end * 8; bit++) {
		u8 *byte = (u8 *)t->ser + bit / 8;

		*byte ^= BIT(bit % 8);
		/* what follows the version's NUL means nothing */
		if (bit / 8 <= strlen(LUO_HOST_ABI_COMPATIBLE) ||
		    bit / 8 >= LUO_HOST_COMPAT_LEN)
			KUNIT_ASSERT_NE_MSG(test, luo_handover_verify(t->ser),
					    0, "bit %zu", bit);
		*byte ^= BIT(bit % 8);
	}
	KUNIT_EXPECT_EQ(test, luo_handover_verify(t->ser), 0);
}

static void damaged_payload_is_refused(struct kunit *test)
{
	struct handover_test *t = test->priv;
	struct luo_payload_ser copy;

	seal(test, 1);
	t->data[PAYLOAD_LEN - 1] ^= 0x80;
	KUNIT_EXPECT_EQ(test, luo_handover_check(entry(test), t->data),
			-EILSEQ);
	t->data[PAYLOAD_LEN - 1] ^= 0x80;
	KUNIT_EXPECT_EQ(test, luo_handover_check(entry(test), t->data), 0);

	copy = *entry(test);
	copy.len = 0;
	KUNIT_EXPECT_EQ(test, luo_handover_check(&copy, t->data), -EMSGSIZE);
	copy.len = LUO_PAYLOAD_MAX_LEN + 1;
	KUNIT_EXPECT_EQ(test, luo_handover_check(&copy, t->data), -EMSGSIZE);
}

static void too_many_payloads_are_refused(struct kunit *test)
{
	struct handover_test *t = test->priv;
	struct liveupdate_subsystem *last = &t->subs[LUO_HOST_MAX_PAYLOADS];

	seal(test, LUO_HOST_MAX_PAYLOADS);
	last->name = "last";
	last->ops = &no_ops;
	KUNIT_ASSERT_EQ(test, luo_subsys_add(&t->subsystems, last), 0);
	last->compatible = "test-v1";
	last->payload = t->data;
	last->payload_len = PAYLOAD_LEN;
	KUNIT_EXPECT_EQ(test, luo_handover_seal(t->ser, &t->subsystems),
			-EOVERFLOW);
	KUNIT_EXPECT_EQ(test, t->ser->state, LUO_HOST_SER_NONE);
	KUNIT_EXPECT_EQ(test, luo_handover_verify(t->ser), 0);
}

static int luo_handover_test_init(struct kunit *test)
{
	struct handover_test *t = kunit_kzalloc(test, sizeof(*t), GFP_KERNEL);

	if (!t)
		return -ENOMEM;
	t->ser = kunit_kzalloc(test, sizeof(*t->ser), GFP_KERNEL);
	t->data = kunit_kzalloc(test, PAYLOAD_LEN, GFP_KERNEL);
	if (!t->ser || !t->data)
		return -ENOMEM;
	memset(t->data, 0x5a, PAYLOAD_LEN);
	test->priv = t;

	return 0;
}

static struct kunit_case luo_handover_cases[] = {
	KUNIT_CASE(round_trip),
	KUNIT_CASE(absent_and_unknown_are_told_apart),
	KUNIT_CASE(damaged_page_is_refused),
	KUNIT_CASE(every_flipped_bit_of_the_page_is_noticed),
	KUNIT_CASE(damaged_payload_is_refused),
	KUNIT_CASE(too_many_payloads_are_refused),
	{}
};

static struct kunit_suite luo_handover_suite = {
	.name = "luo_handover",
	.init = luo_handover_test_init,
	.test_cases = luo_handover_cases,
};

kunit_test_suite(luo_handover_suite);
