# refuse.rb JOURNAL <cases: see refusals.sh
require 'sqlite3'

db = SQLite3::Database.new(ARGV.shift)
$stdin.set_encoding('UTF-8')
$stdin.each_line(chomp: true) do |line|
  *first, sql = line.split("\t")
  db.execute('BEGIN IMMEDIATE')
  first.each { |each| db.execute(each) }
  begin
    db.execute(sql)
    puts 'taken'
  rescue SQLite3::ConstraintException => e
    puts e.message
  end
  db.execute('ROLLBACK')
end
