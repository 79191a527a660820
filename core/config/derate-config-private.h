/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate-config.h>

G_BEGIN_DECLS

typedef struct _DerateConfigKind DerateConfigKind;

/* One `key=value`. */
typedef struct
{
  char *key;
  char *raw; /* as it stands in the file: what an error may show of a value with a variable in it */
  char *value; /* expanded; NULL where a variable is missing, with @error */
  GError *error; /* raised unless a later file overrides the key */
  char *file;
  guint line;
  guint pass; /* the file it was last given in, counted from 1 */
} DerateConfigEntry;

/* One `[kind object]`. */
typedef struct
{
  char *name; /* what stands between the brackets */
  const DerateConfigKind *kind;
  const char *object; /* the part of @name after the kind, or NULL */
  GPtrArray *entries; /* (element-type DerateConfigEntry) in the order of the files */
  char *file; /* where it was first given */
  guint line;
  guint pass;
} DerateConfigGroup;

struct _DerateConfig
{
  GPtrArray *groups; /* (element-type DerateConfigGroup) */
  guint n_passes;
};

DerateConfigGroup *derate_config_find_group (DerateConfig *config,
                                             const char   *name);
DerateConfigEntry *derate_config_group_find (DerateConfigGroup *group,
                                             const char        *key);

/* derate-config-reader.c: takes in one file, over those before. */
GPtrArray *derate_config_groups_new (void);
gboolean derate_config_read (DerateConfig *config,
                             const char   *text,
                             const char   *file,
                             GError      **error);

/* `file F, [G], K: TEXT (line N)`; G, K and N (0) may miss. Secrets are taken out of TEXT. */
void derate_config_set_error (GError    **error,
                              const char *file,
                              guint       line,
                              const char *group,
                              const char *key,
                              const char *format,
                              ...) G_GNUC_PRINTF (6, 7);

/* derate-config-expand.c: ${NAME}, ${NAME:-default}, $$. Errors name no value. */
char *derate_config_expand (const char *raw,
                            GError    **error);

/* derate-config-schema.c */
const DerateConfigKind *derate_config_kind_find (const char *word);
gboolean derate_config_kind_is_named (const DerateConfigKind *kind);
gboolean derate_config_kind_has_key (const DerateConfigKind *kind,
                                     const char             *key);
gboolean derate_config_kind_check (const DerateConfigKind *kind,
                                   const char             *key,
                                   const char             *value,
                                   GError                **error);
gboolean derate_config_name_is_valid (const char *name);
gboolean derate_config_parse_boolean (const char *text,
                                      gboolean   *value);

/* derate-config-check.c: what only shows when everything is read. */
gboolean derate_config_check (DerateConfig *config,
                              GError      **error);

/* derate-config-breaker.c: either group may be one that is not there. */
DerateBreakerConfig *derate_config_resolve_breaker (DerateConfig     *config,
                                                    const char       *service_group,
                                                    const char       *breaker_group,
                                                    DerateServiceRole role,
                                                    GError          **error);

G_END_DECLS
