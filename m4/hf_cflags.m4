# HF_ADD_CFLAG(VARIABLE, FLAG)
# Append FLAG to VARIABLE if the compiler takes it without a warning. Clang
# only warns about flags it does not know, hence -Werror during the probe.
AC_DEFUN([HF_ADD_CFLAG], [
    AS_VAR_PUSHDEF([cache], [hf_cv_cflag_$2])
    AC_CACHE_CHECK([whether $CC takes $2], [cache], [
        hf_saved_cflags=$CFLAGS
        CFLAGS="$CFLAGS -Werror $2"
        AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
            [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
        CFLAGS=$hf_saved_cflags
    ])
    AS_VAR_IF([cache], [yes], [AS_VAR_APPEND([$1], [" $2"])])
    AS_VAR_POPDEF([cache])
])

# HF_ADD_CFLAGS(VARIABLE, FLAGS) - the same for a list
AC_DEFUN([HF_ADD_CFLAGS],
    [m4_foreach_w([hf_flag], [$2], [HF_ADD_CFLAG([$1], hf_flag)])])
