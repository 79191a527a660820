/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads: set by whoever makes the pool, before it is opened; read by any from then on. */
#include "derate-pg-pool-private.h"

#include "derate-pg-enum-types.h"
#include "derate-pg-target-private.h"

#define SPEC_FLAGS (G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS)

/* semantics §10 */
#define DEFAULT_MIN 2
#define DEFAULT_MAX 10
#define DEFAULT_ACQUIRE_TIMEOUT (30 * G_TIME_SPAN_SECOND)
#define DEFAULT_CONNECT_TIMEOUT (5 * G_TIME_SPAN_SECOND)
#define DEFAULT_VALIDATE_AFTER (500 * G_TIME_SPAN_MILLISECOND)
#define DEFAULT_VALIDATION_TIMEOUT (5 * G_TIME_SPAN_SECOND)
#define DEFAULT_MAX_LIFETIME (30 * G_TIME_SPAN_MINUTE)
#define DEFAULT_IDLE_TIMEOUT (10 * G_TIME_SPAN_MINUTE)
#define DEFAULT_QUERY_TIMEOUT (30 * G_TIME_SPAN_SECOND)
#define DEFAULT_STATEMENT_CACHE_SIZE 100

enum
{
  PROP_NAME = 1,
  PROP_URI,
  PROP_PASSWORD,
  PROP_CLOCK,
  PROP_MIN_SIZE,
  PROP_MAX_SIZE,
  PROP_MAX_WAITERS,
  PROP_ACQUIRE_TIMEOUT,
  PROP_CONNECT_TIMEOUT,
  PROP_VALIDATE_AFTER,
  PROP_VALIDATION_TIMEOUT,
  PROP_MAX_LIFETIME,
  PROP_IDLE_TIMEOUT,
  PROP_LEAK_THRESHOLD,
  PROP_QUERY_TIMEOUT,
  PROP_STATEMENT_CACHE_SIZE,
  PROP_RESET,
  PROP_AUTO_SIZE,
  PROP_BREAKER,
  PROP_WRITE_MODE,
  N_PROPS
};

static GParamSpec *props[N_PROPS];

/* Durations, in microseconds. */
static const struct
{
  const char *name;
  gsize offset;
  GTimeSpan fallback;
  GTimeSpan least;
} spans[N_PROPS] = {
  /**
   * DeratePgPool:acquire-timeout:
   *
   * How long to wait for a session, in microseconds; 0 for as long as it takes. HikariCP's default.
   *
   * Since: 1.0
   */
  [PROP_ACQUIRE_TIMEOUT] = { "acquire-timeout",
                             G_STRUCT_OFFSET (DeratePgPool, settings.acquire_timeout),
                             DEFAULT_ACQUIRE_TIMEOUT },

  /**
   * DeratePgPool:connect-timeout:
   *
   * How long one attempt to open a session may take, in microseconds, for each host and address,
   * unless the URI has a `connect_timeout` of its own. It has nothing to do with how long a caller
   * waits. HikariCP's connections have this default.
   *
   * Since: 1.0
   */
  [PROP_CONNECT_TIMEOUT] = { "connect-timeout",
                             G_STRUCT_OFFSET (DeratePgPool, settings.connect_timeout),
                             DEFAULT_CONNECT_TIMEOUT },

  /**
   * DeratePgPool:validate-after:
   *
   * A session that was idle for so long, in microseconds, is asked for a sign of life before it is
   * lent; 0 for never. HikariCP's default.
   *
   * Since: 1.0
   */
  [PROP_VALIDATE_AFTER] = { "validate-after",
                            G_STRUCT_OFFSET (DeratePgPool, settings.validate_after),
                            DEFAULT_VALIDATE_AFTER },

  /**
   * DeratePgPool:validation-timeout:
   *
   * How long validating a session, or bringing it back to a clean state, may take, in microseconds.
   * HikariCP's default.
   *
   * Since: 1.0
   */
  [PROP_VALIDATION_TIMEOUT] = { "validation-timeout",
                                G_STRUCT_OFFSET (DeratePgPool, settings.validation_timeout),
                                DEFAULT_VALIDATION_TIMEOUT, G_TIME_SPAN_MILLISECOND },

  /**
   * DeratePgPool:max-lifetime:
   *
   * How old a session may become, in microseconds, less up to 5 % at random so that not all end
   * together; 0 for any age. One in use is not cut. HikariCP's default.
   *
   * Since: 1.0
   */
  [PROP_MAX_LIFETIME] = { "max-lifetime", G_STRUCT_OFFSET (DeratePgPool, settings.max_lifetime),
                          DEFAULT_MAX_LIFETIME },

  /**
   * DeratePgPool:idle-timeout:
   *
   * A session beyond `min-size` that was idle for so long, in microseconds, is closed; 0 for never.
   * HikariCP's default.
   *
   * Since: 1.0
   */
  [PROP_IDLE_TIMEOUT] = { "idle-timeout", G_STRUCT_OFFSET (DeratePgPool, settings.idle_timeout),
                          DEFAULT_IDLE_TIMEOUT },

  /**
   * DeratePgPool:leak-threshold:
   *
   * Who holds a session for longer than this, in microseconds, is named in a warning; 0 for nobody.
   *
   * Since: 1.0
   */
  [PROP_LEAK_THRESHOLD] = { "leak-threshold",
                            G_STRUCT_OFFSET (DeratePgPool, settings.leak_threshold), 0 },

  /**
   * DeratePgPool:query-timeout:
   *
   * How long a statement in a session of the pool may take, in microseconds; 0 for any time.
   *
   * Since: 1.0
   */
  [PROP_QUERY_TIMEOUT] = { "query-timeout", G_STRUCT_OFFSET (DeratePgPool, settings.query_timeout),
                           DEFAULT_QUERY_TIMEOUT },
};

static const struct
{
  const char *name;
  gsize offset;
  guint least;
  guint most;
  guint fallback;
} numbers[N_PROPS] = {
  /**
   * DeratePgPool:min-size:
   *
   * How many sessions are kept at least.
   *
   * Since: 1.0
   */
  [PROP_MIN_SIZE] = { "min-size", G_STRUCT_OFFSET (DeratePgPool, min), 0, MAX_SLOTS, DEFAULT_MIN },

  /**
   * DeratePgPool:max-size:
   *
   * How many sessions there may be, counting those that are being opened and those that may not
   * have ended at the server yet. HikariCP's default.
   *
   * Since: 1.0
   */
  [PROP_MAX_SIZE] = { "max-size", G_STRUCT_OFFSET (DeratePgPool, max), 1, MAX_SLOTS, DEFAULT_MAX },

  /**
   * DeratePgPool:max-waiters:
   *
   * How many may wait for a session before others are refused with %DERATE_PG_ERROR_POOL_FULL; 0
   * for any number.
   *
   * Since: 1.0
   */
  [PROP_MAX_WAITERS] = { "max-waiters", G_STRUCT_OFFSET (DeratePgPool, settings.max_waiters), 0,
                         G_MAXUINT, 0 },

  /**
   * DeratePgPool:statement-cache-size:
   *
   * How many statements each session keeps prepared; 0 for none. psycopg's default.
   *
   * Since: 1.0
   */
  [PROP_STATEMENT_CACHE_SIZE] = { "statement-cache-size",
                                  G_STRUCT_OFFSET (DeratePgPool, settings.statement_cache_size), 0,
                                  G_MAXUINT, DEFAULT_STATEMENT_CACHE_SIZE },
};

static void
get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  DeratePgPool *self = DERATE_PG_POOL (object);
  /* Two of the numbers change while the pool is open. */
  g_autoptr (GMutexLocker) locker = g_mutex_locker_new (&self->lock);

  switch (id)
    {
    case PROP_NAME:
      g_value_set_string (value, self->settings.name);
      break;
    case PROP_CLOCK:
      g_value_set_object (value, self->clock);
      break;
    case PROP_RESET:
      g_value_set_enum (value, self->settings.reset);
      break;
    case PROP_BREAKER:
      g_value_set_object (value, self->breaker);
      break;
    case PROP_AUTO_SIZE:
      g_value_set_boolean (value, self->settings.auto_size);
      break;
    case PROP_WRITE_MODE:
      g_value_set_boolean (value, derate_pg_pool_get_write_mode (self));
      break;
    default:
      if (spans[id].name != NULL)
        g_value_set_int64 (value, G_STRUCT_MEMBER (GTimeSpan, self, spans[id].offset));
      else
        g_value_set_uint (value, G_STRUCT_MEMBER (guint, self, numbers[id].offset));
    }
}

static void
set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  DeratePgPool *self = DERATE_PG_POOL (object);

  if ((__atomic_load_n (&self->gate, __ATOMIC_ACQUIRE) & GATE_UNOPENED) == 0)
    {
      g_warning ("pool %s: %s cannot be set once the pool is open", self->settings.name,
                 pspec->name);
      return;
    }
  switch (id)
    {
    case PROP_NAME:
      self->settings.name = g_value_dup_string (value);
      break;
    case PROP_URI:
      self->settings.uri = g_value_dup_string (value);
      break;
    case PROP_PASSWORD:
      derate_pg_secret_free (self->settings.password);
      self->settings.password = g_value_dup_string (value);
      break;
    case PROP_CLOCK:
      g_set_object (&self->clock, g_value_get_object (value));
      break;
    case PROP_RESET:
      self->settings.reset = g_value_get_enum (value);
      break;
    case PROP_BREAKER:
      g_set_object (&self->breaker, g_value_get_object (value));
      break;
    case PROP_AUTO_SIZE:
      self->settings.auto_size = g_value_get_boolean (value);
      break;
    default:
      if (spans[id].name != NULL)
        G_STRUCT_MEMBER (GTimeSpan, self, spans[id].offset) = g_value_get_int64 (value);
      else
        G_STRUCT_MEMBER (guint, self, numbers[id].offset) = g_value_get_uint (value);
    }
}

static void
install_numbers (void)
{
  for (guint id = 1; id < N_PROPS; id++)
    {
      if (spans[id].name != NULL)
        props[id] = g_param_spec_int64 (spans[id].name, NULL, NULL, spans[id].least, G_MAXINT64 / 4,
                                        spans[id].fallback, SPEC_FLAGS);
      if (numbers[id].name != NULL)
        props[id] = g_param_spec_uint (numbers[id].name, NULL, NULL, numbers[id].least,
                                       numbers[id].most, numbers[id].fallback, SPEC_FLAGS);
    }
}

void
derate_pg_pool_init_properties (DeratePgPool *pool)
{
  for (guint id = 1; id < N_PROPS; id++)
    {
      if (spans[id].name != NULL)
        G_STRUCT_MEMBER (GTimeSpan, pool, spans[id].offset) = spans[id].fallback;
      if (numbers[id].name != NULL)
        G_STRUCT_MEMBER (guint, pool, numbers[id].offset) = numbers[id].fallback;
    }
}

static void
install_links (void)
{
  /**
   * DeratePgPool:breaker:
   *
   * The circuit breaker that the pool's own queries and transactions go through (not what is done
   * with a lease): whatever says that the database is not well is a failure (see
   * [func@pg_error_is_failure]), an answer is a success, also one that refuses a statement, and the
   * rest is neither: what the pool itself refused, or what was cancelled.
   *
   * Since: 1.0
   */
  props[PROP_BREAKER] =
      g_param_spec_object ("breaker", NULL, NULL, DERATE_TYPE_BREAKER, SPEC_FLAGS);

  /**
   * DeratePgPool:write-mode: (getter get_write_mode)
   *
   * Whether the pool takes writes. It does not while none of the servers that answer does; they are
   * looked at again and again, and reads go on. Notified in the thread-default context of whoever
   * made the pool.
   *
   * Since: 1.0
   */
  props[PROP_WRITE_MODE] =
      g_param_spec_boolean ("write-mode", NULL, NULL, TRUE,
                            G_PARAM_READABLE | G_PARAM_EXPLICIT_NOTIFY | G_PARAM_STATIC_STRINGS);
}

void
derate_pg_pool_install_properties (GObjectClass *klass)
{
  klass->set_property = set_property;
  klass->get_property = get_property;
  install_numbers ();

  /**
   * DeratePgPool:name:
   *
   * What the pool is called in metrics, log and errors: small letters, digits, `-` and `_`, at most
   * 63, a letter first.
   *
   * Since: 1.0
   */
  props[PROP_NAME] =
      g_param_spec_string ("name", NULL, NULL, NULL,
                           G_PARAM_CONSTRUCT_ONLY | G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS);

  /**
   * DeratePgPool:uri: (setter)
   *
   * A connection URI or keyword string, as libpq has them. It may hold a password, so it cannot be
   * read back.
   *
   * Since: 1.0
   */
  props[PROP_URI] =
      g_param_spec_string ("uri", NULL, NULL, NULL,
                           G_PARAM_CONSTRUCT_ONLY | G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS);

  /**
   * DeratePgPool:password: (setter)
   *
   * The password, where it does not stand in the URI. It cannot be read back.
   *
   * Since: 1.0
   */
  props[PROP_PASSWORD] =
      g_param_spec_string ("password", NULL, NULL, NULL, G_PARAM_WRITABLE | G_PARAM_STATIC_STRINGS);

  /**
   * DeratePgPool:clock:
   *
   * What time is told by. With a [class@ManualClock] the pool has no thread: everything it does of
   * itself happens in the thread-default context that it was made in. So nothing may wait there by
   * derate_pg_pool_acquire() or another sync form.
   *
   * Since: 1.0
   */
  props[PROP_CLOCK] = g_param_spec_object ("clock", NULL, NULL, DERATE_TYPE_CLOCK, SPEC_FLAGS);

  /**
   * DeratePgPool:reset:
   *
   * What is done to a session that is given back.
   *
   * Since: 1.0
   */
  props[PROP_RESET] = g_param_spec_enum ("reset", NULL, NULL, DERATE_TYPE_PG_RESET,
                                         DERATE_PG_RESET_LIGHT, SPEC_FLAGS);

  /**
   * DeratePgPool:auto-size:
   *
   * Whether the pool finds its own size between `min-size` and `max-size`: it may have more while
   * callers wait, and fewer while hardly any are in use or the server has no room.
   *
   * Since: 1.0
   */
  props[PROP_AUTO_SIZE] = g_param_spec_boolean ("auto-size", NULL, NULL, FALSE, SPEC_FLAGS);

  install_links ();
  g_object_class_install_properties (klass, N_PROPS, props);
}
