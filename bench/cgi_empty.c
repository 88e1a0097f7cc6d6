/* cgi_empty - the floor of every CGI program: to be started and to end */
int main(void)
{
    return 0;
}
