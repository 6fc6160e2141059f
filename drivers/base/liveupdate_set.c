// SPDX-License-Identifier: GPL-2.0

/**
 * DOC: Set of devices in a live update
 *
 * Asking for a device asks for all that it hangs on:
 *
 * - its parent,
 * - the suppliers of its device links, but for those that only wait for
 *   sync_state,
 * - what its bus names (&struct dev_liveupdate_bus.suppliers), such as the PF
 *   of a VF,
 * - every other device in its IOMMU group: they can reach its memory.
 *
 * Members are those whose bus takes part. A requested device must have a driver;
 * any driver of a member must take part. A device on another bus imposes nothing
 * as long as it has no driver, and only passes on what it hangs on in turn.
 *
 * The order of PREPARE has each device before all that it hangs on. A group is no
 * order: its devices do not hang on one another. Among devices that do not hang
 * on one another the order of the requests decides, so the same requests give
 * the same order.
 *
 * Each device is looked at once and each dependency followed once, without
 * recursion, so the cost is linear in the number of devices.
 *
 * Unhappy paths, each with an errno and a line that names the device in the way:
 *
 *	-EOPNOTSUPP	its bus or its driver does not take part
 *	-ENODEV		it has no driver, or is being removed
 *	-ENAMETOOLONG	bus, path or driver do not fit into a record
 *	-ELOOP		it hangs on itself
 *	-ENOMEM
 *	else		what its bus says (&struct dev_liveupdate_bus.possible)
 *
 * Nothing is marked then. What was found is not kept: PREPARE looks again, a
 * driver may have changed since the request.
 *
 * Locking: the caller holds the host state. One device lock at a time.
 */

#include <linux/cleanup.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/hashtable.h>
#include <linux/iommu.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include <kunit/static_stub.h>

#include "base.h"
#include "liveupdate.h"

/* One device of the graph; holds a reference. */
struct dlu_node {
	struct hlist_node hash;
	struct list_head list;		/* in the order of discovery */
	struct list_head ordered;
	struct list_head edges;
	struct device *dev;
	unsigned int dependants;	/* that are not ordered yet */
	bool requested;
	bool member;
};

struct dlu_edge {
	struct list_head list;
	struct dlu_node *on;
};

struct dlu_graph {
	DECLARE_HASHTABLE(hash, DLU_HASH_BITS);
	struct list_head nodes;
	struct list_head order;
	struct xarray groups;		/* ids of those that are done */
	unsigned int members;
	struct dlu_why *why;
};

/* What a callback needs to let @from hang on another device. */
struct dlu_hang {
	struct dlu_graph *graph;
	struct dlu_node *from;
};

static __printf(4, 5) int dlu_refuse(struct dlu_why *why, struct device *dev,
				     int err, const char *fmt, ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	snprintf(why->text, sizeof(why->text), "%s %pV", dev_name(dev), &vaf);
	va_end(args);

	return err;
}

/**
 * dlu_group_id - The IOMMU group of a device.
 * @dev: The device.
 *
 * Context: Device lock held.
 * Return: The group's id, or a negative number when it has none.
 */
int dlu_group_id(struct device *dev)
{
	KUNIT_STATIC_STUB_REDIRECT(dlu_group_id, dev);

	return dev->iommu_group ? iommu_group_id(dev->iommu_group) : -ENODEV;
}

/**
 * dlu_group_walk - Call a function for all devices in an IOMMU group.
 * @dev:  A device in it.
 * @fn:   The function; a value other than 0 ends the walk.
 * @data: For @fn.
 *
 * Context: Device lock held.
 * Return: What @fn returned last.
 */
int dlu_group_walk(struct device *dev, int (*fn)(struct device *, void *),
		   void *data)
{
	KUNIT_STATIC_STUB_REDIRECT(dlu_group_walk, dev, fn, data);

	return iommu_group_for_each_dev(dev->iommu_group, data, fn);
}

static struct dlu_node *dlu_find(struct dlu_graph *graph, struct device *dev)
{
	struct dlu_node *node;

	hash_for_each_possible(graph->hash, node, hash, (unsigned long)dev) {
		if (node->dev == dev)
			return node;
	}

	return NULL;
}

static struct dlu_node *dlu_add(struct dlu_graph *graph, struct device *dev)
{
	struct dlu_node *node = dlu_find(graph, dev);

	if (node)
		return node;
	node = kzalloc_obj(*node);
	if (!node)
		return NULL;

	node->dev = get_device(dev);
	INIT_LIST_HEAD(&node->edges);
	INIT_LIST_HEAD(&node->ordered);
	list_add_tail(&node->list, &graph->nodes);
	hash_add(graph->hash, &node->hash, (unsigned long)dev);

	return node;
}

/* Something that comes along, in no order. */
static int dlu_come_along(struct device *dev, void *data)
{
	struct dlu_hang *hang = data;

	if (dlu_add(hang->graph, dev))
		return 0;

	return dlu_refuse(hang->graph->why, dev, -ENOMEM, "does not fit into memory");
}

/* Something that comes along, and is prepared later. */
static int dlu_hang_on(struct device *dev, void *data)
{
	struct dlu_hang *hang = data;
	struct dlu_edge *edge;
	int err;

	err = dlu_come_along(dev, data);
	if (err)
		return err;
	edge = kmalloc_obj(*edge);
	if (!edge)
		return dlu_refuse(hang->graph->why, dev, -ENOMEM,
				  "does not fit into memory");

	edge->on = dlu_find(hang->graph, dev);
	edge->on->dependants++;
	list_add_tail(&edge->list, &hang->from->edges);

	return 0;
}

static int dlu_follow_links(struct dlu_hang *hang)
{
	struct device_link *link;
	int idx, err = 0;

	idx = device_links_read_lock();
	dev_for_each_link_to_supplier(link, hang->from->dev) {
		if (device_link_flag_is_sync_state_only(link->flags))
			continue;
		err = dlu_hang_on(link->supplier, hang);
		if (err)
			break;
	}
	device_links_read_unlock(idx);

	return err;
}

static int dlu_follow_group(struct dlu_hang *hang)
{
	struct device *dev = hang->from->dev;
	int id = dlu_group_id(dev);
	int err;

	if (id < 0)
		return 0;
	err = xa_insert(&hang->graph->groups, id, xa_mk_value(1), GFP_KERNEL);
	if (err == -EBUSY)
		return 0;
	if (err)
		return dlu_refuse(hang->graph->why, dev, err,
				  "does not fit into memory");

	return dlu_group_walk(dev, dlu_come_along, hang);
}

/* What a member needs beside a bus that takes part. */
static int dlu_check_member(struct dlu_node *node, struct dlu_why *why)
{
	const struct device_driver *drv = node->dev->driver;
	struct dev_liveupdate_ser record;
	struct device *dev = node->dev;
	char reason[128] = "";
	int err;

	if (drv && !drv->liveupdate)
		return dlu_refuse(why, dev, -EOPNOTSUPP,
				  "is bound to driver %s, which does not take part in live updates: unbind it",
				  drv->name);
	if (!drv && node->requested)
		return dlu_refuse(why, dev, -ENODEV,
				  "has no driver: bind one that takes part in live updates");

	err = dlu_identify(dev, &record);
	if (err)
		return dlu_refuse(why, dev, err,
				  "has a bus, path or driver that no record can name");

	err = 0;
	if (dev->bus->liveupdate->possible)
		err = dev->bus->liveupdate->possible(dev, reason,
						     sizeof(reason));

	return err ? dlu_refuse(why, dev, err, "%s", reason) : 0;
}

static int dlu_check(struct dlu_node *node, struct dlu_why *why)
{
	struct device *dev = node->dev;

	device_lock_assert(dev);
	if (!dev->p || dev->p->dead)
		return dlu_refuse(why, dev, -ENODEV, "is being removed");
	if (dlu_takes_part(dev))
		return dlu_check_member(node, why);
	if (node->requested)
		return dlu_refuse(why, dev, -EOPNOTSUPP,
				  "is on a bus that does not take part in live updates");
	if (dev->driver)
		return dlu_refuse(why, dev, -EOPNOTSUPP,
				  "is needed, and its driver %s does not take part in live updates",
				  dev->driver->name);

	return 0;
}

static int dlu_expand(struct dlu_graph *graph, struct dlu_node *node)
{
	struct dlu_hang hang = { .graph = graph, .from = node };
	struct device *dev = node->dev;
	int err;

	guard(device)(dev);
	err = dlu_check(node, graph->why);
	if (!err && dev->parent)
		err = dlu_hang_on(dev->parent, &hang);
	if (!err)
		err = dlu_follow_links(&hang);
	if (err || !dlu_takes_part(dev))
		return err;

	node->member = true;
	graph->members++;
	if (dev->bus->liveupdate->suppliers)
		err = dev->bus->liveupdate->suppliers(dev, dlu_hang_on, &hang);

	return err ?: dlu_follow_group(&hang);
}

/* A device is ready once all that hang on it are: the list is the queue, too. */
static int dlu_order(struct dlu_graph *graph)
{
	struct dlu_node *node;
	struct dlu_edge *edge;

	list_for_each_entry(node, &graph->nodes, list) {
		if (!node->dependants)
			list_add_tail(&node->ordered, &graph->order);
	}

	list_for_each_entry(node, &graph->order, ordered) {
		list_for_each_entry(edge, &node->edges, list) {
			if (!--edge->on->dependants)
				list_add_tail(&edge->on->ordered,
					      &graph->order);
		}
	}

	list_for_each_entry(node, &graph->nodes, list) {
		if (list_empty(&node->ordered))
			return dlu_refuse(graph->why, node->dev, -ELOOP,
					  "is needed by devices that hang on themselves");
	}

	return 0;
}

static void dlu_graph_init(struct dlu_graph *graph, struct dlu_why *why)
{
	hash_init(graph->hash);
	INIT_LIST_HEAD(&graph->nodes);
	INIT_LIST_HEAD(&graph->order);
	xa_init(&graph->groups);
	graph->members = 0;
	graph->why = why;
	why->text[0] = '\0';
}

static void dlu_graph_free(struct dlu_graph *graph)
{
	struct dlu_node *node, *next;
	struct dlu_edge *edge, *e;

	if (IS_ERR_OR_NULL(graph))
		return;
	list_for_each_entry_safe(node, next, &graph->nodes, list) {
		list_for_each_entry_safe(edge, e, &node->edges, list)
			kfree(edge);
		put_device(node->dev);
		kfree(node);
	}
	xa_destroy(&graph->groups);
	kvfree(graph);
}

DEFINE_FREE(dlu_graph, struct dlu_graph *, dlu_graph_free(_T))

/* All that come along with @devs, in order. The caller frees it. */
static struct dlu_graph *dlu_graph_build(struct device **devs,
					 unsigned int count,
					 struct dlu_why *why)
{
	struct dlu_graph *graph __free(dlu_graph) = kvmalloc_obj(*graph);
	struct dlu_node *node;
	unsigned int i;
	int err;

	if (!graph) {
		strscpy(why->text, "no memory");
		return ERR_PTR(-ENOMEM);
	}

	dlu_graph_init(graph, why);
	for (i = 0; i < count; i++) {
		node = dlu_add(graph, devs[i]);
		if (!node)
			return ERR_PTR(dlu_refuse(why, devs[i], -ENOMEM,
						  "does not fit into memory"));
		node->requested = true;
	}

	/* grows while it is walked */
	list_for_each_entry(node, &graph->nodes, list) {
		err = dlu_expand(graph, node);
		if (err)
			return ERR_PTR(err);
	}

	err = dlu_order(graph);

	return err ? ERR_PTR(err) : no_free_ptr(graph);
}

/**
 * dlu_possible - Whether a device could be kept alive now.
 * @dev: The device.
 * @why: The reason when it could not.
 *
 * Context: Process context, may sleep.
 * Return: 0 or an errno of the table above.
 */
int dlu_possible(struct device *dev, struct dlu_why *why)
{
	struct dlu_graph *graph __free(dlu_graph) = dlu_graph_build(&dev, 1,
								    why);

	return PTR_ERR_OR_ZERO(graph);
}

/* Its driver was free to go until now: look again, then hold it. */
static int dlu_take(struct dlu_slot *slot, struct dlu_node *node,
		    struct dlu_why *why)
{
	struct device *dev = node->dev;
	struct dev_liveupdate *lu;
	int err;

	lu = dlu_state_alloc(dev);
	if (!lu)
		return dlu_refuse(why, dev, -ENOMEM, "does not fit into memory");

	guard(device)(dev);
	err = dlu_check(node, why);
	if (err)
		return err;
	if (dev->driver && !try_module_get(dev->driver->owner))
		return dlu_refuse(why, dev, -ENODEV,
				  "has a driver that is being unloaded");

	if (dev->driver)
		slot->owner = dev->driver->owner;
	scoped_guard(spinlock_irqsave, &dlu_lock) {
		slot->lu = lu;
		lu->slot = slot;
	}
	lu->driver_data = 0;
	lu->bus_data = 0;
	set_bit(DLU_PRESERVED, &lu->flags);
	dlu_notify(dev);

	return 0;
}

/**
 * dlu_set_build - Find, order and mark all devices of an update.
 * @set:   The set, empty.
 * @devs:  The requested devices.
 * @count: Entries in @devs.
 * @why:   The reason for a refusal.
 *
 * Context: Process context, host state held for writing.
 * Return: 0, and all in @set are preserved; else an errno of the table above,
 *         and nothing is.
 */
int dlu_set_build(struct dlu_set *set, struct device **devs,
		  unsigned int count, struct dlu_why *why)
{
	struct dlu_graph *graph __free(dlu_graph) = dlu_graph_build(devs, count,
								    why);
	struct dlu_node *node;
	int err;

	if (IS_ERR(graph))
		return PTR_ERR(graph);

	set->slots = kvcalloc(graph->members, sizeof(*set->slots), GFP_KERNEL);
	if (!set->slots) {
		strscpy(why->text, "no memory");
		return -ENOMEM;
	}

	list_for_each_entry(node, &graph->order, ordered) {
		if (!node->member)
			continue;
		err = dlu_take(&set->slots[set->count++], node, why);
		if (err) {
			dlu_set_clear(set);
			return err;
		}
	}

	return 0;
}

/**
 * dlu_slot_lock - The device in a slot, with a reference and its lock.
 * @slot: The slot.
 *
 * Context: Process context, may sleep.
 * Return: The device, for dlu_slot_unlock(); NULL when there is none, or it is
 *         not initialized yet.
 */
struct device *dlu_slot_lock(struct dlu_slot *slot)
{
	struct device *dev = NULL;

	scoped_guard(spinlock_irqsave, &dlu_lock) {
		if (slot->lu && kobject_get_unless_zero(&slot->lu->dev->kobj))
			dev = slot->lu->dev;
	}
	if (!dev)
		return NULL;

	device_lock(dev);
	if (slot->lu)
		return dev;
	dlu_slot_unlock(dev);

	return NULL;
}

/**
 * dlu_slot_unlock - Undo dlu_slot_lock().
 * @dev: What it returned.
 *
 * Context: Process context.
 */
void dlu_slot_unlock(struct device *dev)
{
	device_unlock(dev);
	put_device(dev);
}

/**
 * dlu_slot_unlink - Make the device in a slot an ordinary one.
 * @slot: The slot. Its kept memory stays with it.
 *
 * Context: Device lock held; or nobody else can know of the device.
 */
void dlu_slot_unlink(struct dlu_slot *slot)
{
	struct dev_liveupdate *lu;

	module_put(slot->owner);
	slot->owner = NULL;

	guard(spinlock_irqsave)(&dlu_lock);
	lu = slot->lu;
	slot->lu = NULL;
	if (!lu)
		return;
	lu->slot = NULL;
	clear_bit(DLU_PRESERVED, &lu->flags);
	clear_bit(DLU_PREPARED, &lu->flags);
	clear_bit(DLU_FROZEN, &lu->flags);
	clear_bit(DLU_INCOMING, &lu->flags);
	clear_bit(DLU_RECLAIMED, &lu->flags);
}

/**
 * dlu_set_clear - Make all devices in a set ordinary ones.
 * @set: The set; empty afterwards.
 *
 * Context: Process context, host state held for writing.
 */
void dlu_set_clear(struct dlu_set *set)
{
	struct device *dev;
	unsigned int i;

	for (i = 0; i < set->count; i++) {
		dev = dlu_slot_lock(&set->slots[i]);
		dlu_slot_unlink(&set->slots[i]);
		if (!dev)
			continue;
		dlu_notify(dev);
		dlu_slot_unlock(dev);
	}
	kvfree(set->slots);
	set->slots = NULL;
	set->count = 0;
}
