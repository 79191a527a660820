/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "derate-redis-reply-private.h"

#include <string.h>

#define MAX_ELEMENTS \
  (1024 * 1024) /* as the server bounds what it is sent; of all arrays together */

/**
 * DerateRedisReply:
 *
 * What the server answered. Immutable, so it may be shared by any number of threads.
 *
 * Since: 1.0
 */
struct _DerateRedisReply
{
  DerateRedisReplyType type;
  gint64 integer; /* of the outermost array: how many are in it at any depth */
  char *text; /* with a NUL behind its length */
  gsize length;
  GPtrArray *elements;
};

G_DEFINE_BOXED_TYPE (DerateRedisReply,
                     derate_redis_reply,
                     derate_redis_reply_ref,
                     derate_redis_reply_unref)

static DerateRedisReply *
reply_new (const redisReadTask *task, DerateRedisReplyType type)
{
  DerateRedisReply *reply = g_atomic_rc_box_new0 (DerateRedisReply);

  reply->type = type;
  if (task->parent != NULL)
    g_ptr_array_add (((DerateRedisReply *)task->parent->obj)->elements, reply);
  return reply;
}

static void *
create_string (const redisReadTask *task, char *text, size_t length)
{
  DerateRedisReplyType type = task->type == REDIS_REPLY_ERROR    ? DERATE_REDIS_REPLY_ERROR
                              : task->type == REDIS_REPLY_STATUS ? DERATE_REDIS_REPLY_STATUS
                                                                 : DERATE_REDIS_REPLY_STRING;
  DerateRedisReply *reply = reply_new (task, type);

  reply->text = g_malloc (length + 1);
  memcpy (reply->text, text, length);
  reply->text[length] = '\0';
  reply->length = length;
  return reply;
}

/* The outermost array counts for those within it: an empty one takes four bytes on the wire, and
 * many times that here. */
static void *
create_array (const redisReadTask *task, int n)
{
  const redisReadTask *top = task;
  DerateRedisReply *reply;
  gint64 *total;

  while (top->parent != NULL)
    top = top->parent;
  total = task->parent != NULL ? &((DerateRedisReply *)top->obj)->integer : NULL;
  if (n > MAX_ELEMENTS - (total != NULL ? *total : 0))
    return NULL;
  reply = reply_new (task, DERATE_REDIS_REPLY_ARRAY);
  if (total == NULL)
    total = &reply->integer;
  *total += n;
  if (n > 0)
    reply->elements = g_ptr_array_new_with_free_func ((GDestroyNotify)derate_redis_reply_unref);
  return reply;
}

static void *
create_integer (const redisReadTask *task, long long value)
{
  DerateRedisReply *reply = reply_new (task, DERATE_REDIS_REPLY_INTEGER);

  reply->integer = value;
  return reply;
}

static void *
create_nil (const redisReadTask *task)
{
  return reply_new (task, DERATE_REDIS_REPLY_NIL);
}

static void
free_object (void *reply)
{
  derate_redis_reply_unref (reply);
}

redisReader *
derate_redis_reply_reader_new (void)
{
  static redisReplyObjectFunctions functions = {
    .createString = create_string,
    .createArray = create_array,
    .createInteger = create_integer,
    .createNil = create_nil,
    .freeObject = free_object,
  };

  return redisReaderCreateWithFunctions (&functions);
}

/**
 * derate_redis_reply_ref:
 * @reply: a reply
 *
 * Takes a reference.
 *
 * Returns: (transfer full): @reply
 *
 * Since: 1.0
 */
DerateRedisReply *
derate_redis_reply_ref (DerateRedisReply *reply)
{
  return g_atomic_rc_box_acquire (reply);
}

static void
reply_clear (gpointer data)
{
  DerateRedisReply *reply = data;

  g_free (reply->text);
  g_clear_pointer (&reply->elements, g_ptr_array_unref);
}

/**
 * derate_redis_reply_unref:
 * @reply: (transfer full): a reply
 *
 * Drops a reference.
 *
 * Since: 1.0
 */
void
derate_redis_reply_unref (DerateRedisReply *reply)
{
  g_atomic_rc_box_release_full (reply, reply_clear);
}

/**
 * derate_redis_reply_get_reply_type:
 * @reply: a reply
 *
 * What the reply is.
 *
 * Returns: the type
 *
 * Since: 1.0
 */
DerateRedisReplyType
derate_redis_reply_get_reply_type (DerateRedisReply *reply)
{
  return reply->type;
}

/**
 * derate_redis_reply_get_text:
 * @reply: a reply
 *
 * The text of a status, an error or a string. A string may be any bytes: see
 * derate_redis_reply_get_bytes().
 *
 * Returns: (nullable): the text, %NULL where the reply is something else
 *
 * Since: 1.0
 */
const char *
derate_redis_reply_get_text (DerateRedisReply *reply)
{
  return reply->text;
}

/**
 * derate_redis_reply_get_bytes:
 * @reply: a reply
 *
 * The bytes of a status, an error or a string.
 *
 * Returns: (transfer full) (nullable): the bytes, %NULL where the reply is something else
 *
 * Since: 1.0
 */
GBytes *
derate_redis_reply_get_bytes (DerateRedisReply *reply)
{
  if (reply->text == NULL)
    return NULL;
  return g_bytes_new_with_free_func (reply->text, reply->length,
                                     (GDestroyNotify)derate_redis_reply_unref,
                                     derate_redis_reply_ref (reply));
}

/**
 * derate_redis_reply_get_integer:
 * @reply: a reply
 *
 * The value of a number.
 *
 * Returns: the number, 0 where the reply is something else
 *
 * Since: 1.0
 */
gint64
derate_redis_reply_get_integer (DerateRedisReply *reply)
{
  return reply->type == DERATE_REDIS_REPLY_INTEGER ? reply->integer : 0;
}

/**
 * derate_redis_reply_get_n_elements:
 * @reply: a reply
 *
 * How many replies an array holds.
 *
 * Returns: the number, 0 where the reply is no array
 *
 * Since: 1.0
 */
guint
derate_redis_reply_get_n_elements (DerateRedisReply *reply)
{
  return reply->elements != NULL ? reply->elements->len : 0;
}

/**
 * derate_redis_reply_get_element:
 * @reply: a reply
 * @index: which, from 0
 *
 * One of the replies in an array.
 *
 * Returns: (transfer none) (nullable): the reply, %NULL where there is none
 *
 * Since: 1.0
 */
DerateRedisReply *
derate_redis_reply_get_element (DerateRedisReply *reply, guint index)
{
  if (index >= derate_redis_reply_get_n_elements (reply))
    return NULL;
  return g_ptr_array_index (reply->elements, index);
}
