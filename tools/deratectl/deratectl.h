/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <derate.h>
#include <gio/gio.h>

G_BEGIN_DECLS

#define DERATECTL_NAME_PREFIX "org.derate.Derate1."
#define DERATECTL_PATH "/org/derate/Derate1"
#define DERATECTL_MANAGER "org.derate.Derate1.Manager"
#define DERATECTL_ADMIN "org.derate.Derate1.Admin"

/* What deratectl exits with; `hold LEVEL -- COMMAND` passes on what the command exits with. */
typedef enum
{
  DERATECTL_DONE = 0,
  DERATECTL_FAILED = 1,
  DERATECTL_USAGE = 2,
  DERATECTL_NOT_FOUND = 3,
  DERATECTL_DENIED = 4,
} DeratectlExit;

/* A verb: its words after the name are in @argv, which starts with the name itself. */
typedef struct
{
  const char *name;
  const char *arguments;
  const char *summary;
  int (*run) (int argc, char **argv);
  gboolean takes_file; /* its words are names of files, in whatever encoding */
} DeratectlVerb;

extern const DeratectlVerb *const deratectl_verbs[];
extern const DeratectlVerb deratectl_verb_breaker;
extern const DeratectlVerb deratectl_verb_check_config;
extern const DeratectlVerb deratectl_verb_check_plugin;
extern const DeratectlVerb deratectl_verb_drill;
extern const DeratectlVerb deratectl_verb_explain;
extern const DeratectlVerb deratectl_verb_force;
extern const DeratectlVerb deratectl_verb_history;
extern const DeratectlVerb deratectl_verb_hold;
extern const DeratectlVerb deratectl_verb_list;
extern const DeratectlVerb deratectl_verb_monitor;
extern const DeratectlVerb deratectl_verb_print_rules;
extern const DeratectlVerb deratectl_verb_release;
extern const DeratectlVerb deratectl_verb_service;
extern const DeratectlVerb deratectl_verb_status;

/* Options. deratectl_parse () takes @entries (nullable, ended by a zeroed one) and the options that
 * go with every verb out of @argv and leaves the verb's name and between @min and @max words;
 * otherwise it says on stderr what is wrong and returns FALSE: exit with DERATECTL_USAGE. */
extern const GOptionEntry deratectl_global_entries[];
extern const GOptionEntry deratectl_main_entries[]; /* before the verb */

typedef struct
{
  gboolean session;
  gboolean system;
  char *address;
  char *name;
  gboolean watch;
  gboolean version;
} DeratectlOptions;

extern DeratectlOptions deratectl_options;

gboolean deratectl_parse (const DeratectlVerb *verb,
                          const GOptionEntry  *entries,
                          int                 *argc,
                          char              ***argv,
                          int                  min,
                          int                  max);
int deratectl_run_one_of (const DeratectlVerb *const *verbs,
                          const char                 *group,
                          int                         argc,
                          char                      **argv);

/* What a verb takes, asked of the verb itself: its own options, how many words there may be, and if
 * it is a group its verbs. A verb must do nothing before deratectl_parse () returned TRUE. */
typedef struct
{
  GArray *options; /* of GOptionEntry */
  guint max;
  GPtrArray *verbs; /* of const DeratectlVerb, or NULL */
} DeratectlShape;

DeratectlShape *deratectl_shape_new (const DeratectlVerb *verb);
void deratectl_shape_free (DeratectlShape *shape);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratectlShape, deratectl_shape_free)

/* Programs on the bus. */
typedef struct
{
  GDBusConnection *bus;
  char *bus_name;
  char *name; /* "shop", or "shop.instance123" */
} DeratectlProgram;

void deratectl_program_free (DeratectlProgram *program);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratectlProgram, deratectl_program_free)

extern int deratectl_read_timeout; /* milliseconds */

GPtrArray *deratectl_find_programs (GError **error);
DeratectlProgram *deratectl_find_program (GError **error);
GVariant *deratectl_read (DeratectlProgram *program,
                          const char       *method,
                          GVariant         *parameters,
                          const char       *reply_type,
                          GError          **error);
GVariant *deratectl_change (DeratectlProgram *program,
                            const char       *method,
                            GVariant         *parameters,
                            const char       *reply_type,
                            GError          **error);
char *deratectl_dump (DeratectlProgram *program,
                      const char       *what,
                      GError          **error);
int deratectl_fail (const GError *error);

/* Who asks, as others will see it. */
const char *deratectl_get_who (void);

/* Text for people. */
typedef enum
{
  DERATECTL_COLOUR_NONE,
  DERATECTL_COLOUR_GOOD,
  DERATECTL_COLOUR_WARN,
  DERATECTL_COLOUR_BAD,
  DERATECTL_COLOUR_DIM,
} DeratectlColour;

/* A table is as wide as its texts, with the whole of each, or fits a width, where 0 is any. Then
 * columns that are optional go first, and after them the longest are cut. A height is kept by "and
 * N more". */
typedef struct _DeratectlTable DeratectlTable;

DeratectlTable *deratectl_table_new (const char *indent);
void deratectl_table_add (DeratectlTable *table,
                          DeratectlColour colour,
                          const char     *text);
void deratectl_table_end_row (DeratectlTable *table);
void deratectl_table_add_header (DeratectlTable *table,
                                 ...) G_GNUC_NULL_TERMINATED;
void deratectl_table_add_optional (DeratectlTable *table,
                                   guint           column);
void deratectl_table_append (DeratectlTable *table,
                             GString        *page,
                             guint           width,
                             guint           height);
void deratectl_table_print (DeratectlTable *table);
void deratectl_table_print_fitted (DeratectlTable *table);
void deratectl_table_free (DeratectlTable *table);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (DeratectlTable, deratectl_table_free)

char *deratectl_paint (DeratectlColour colour,
                       const char     *text);
char *deratectl_clean (const char *text);
int deratectl_get_width (const char *text);
char *deratectl_cut (const char *text,
                     int         width);
/* FALSE, and nothing is set, where standard output is not a terminal. */
gboolean deratectl_terminal_get_size (guint *width,
                                      guint *height);
DeratectlColour deratectl_level_colour (const char *level);
DeratectlColour deratectl_status_colour (const char *status);
double deratectl_get_now (void); /* seconds since 1970 */
char *deratectl_format_span (double seconds);
char *deratectl_format_instant (double unix_seconds);
char *deratectl_format_since (double unix_seconds);

/* A member of an a{sv}; empty or 0 where a newer or older program has none
 * of that type. */
const char *deratectl_dict_text (GVariant   *dict,
                                 const char *key);
guint64 deratectl_dict_count (GVariant   *dict,
                              const char *key);

G_END_DECLS
