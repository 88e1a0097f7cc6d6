/*
 * sql.h - the .sql files of this folder, embedded at build time
 */
#ifndef HF_SCHEMA_SQL_H
#define HF_SCHEMA_SQL_H

extern const char hf_sql_001_journal[];
extern const char hf_sql_002_retention[];
extern const char hf_sql_003_channels[];
extern const char hf_sql_live[];

#endif
