"""A web admin for SQLAlchemy models."""

from admin_app import jobs as jobs
from admin_app.actions import action as action
from admin_app.columns import display as display
from admin_app.extension import Admin as Admin
from admin_app.extension import AdminIndexView as AdminIndexView
from admin_app.policy import Policy as Policy
from admin_app.policy import Principal as Principal
from admin_app.views import ModelView as ModelView
from admin_app.views import expose as expose
